{{- define "worldloom.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "worldloom.labels" -}}
app.kubernetes.io/name: worldloom
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "worldloom.selector" -}}
app.kubernetes.io/name: worldloom
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "worldloom.image" -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag }}
{{- end -}}
{{- end -}}

{{- define "worldloom.claim" -}}
{{- .Values.storage.existingClaim | default (printf "%s-data" (include "worldloom.name" .)) -}}
{{- end -}}

{{- define "worldloom.account" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "worldloom.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{- define "worldloom.rayMounts" -}}
- { name: data, mountPath: /data }
- { name: cache, mountPath: /var/cache/worldloom }
- { name: home, mountPath: /home/worldloom }
- { name: scratch, mountPath: /tmp }
- { name: shared-memory, mountPath: /dev/shm }
{{- end -}}

{{- define "worldloom.rayVolumes" -}}
- { name: data, persistentVolumeClaim: { claimName: {{ include "worldloom.claim" . }} } }
- { name: cache, emptyDir: { sizeLimit: 1Gi } }
- { name: home, emptyDir: { sizeLimit: 1Gi } }
- { name: scratch, emptyDir: { sizeLimit: 20Gi } }
- { name: shared-memory, emptyDir: { medium: Memory, sizeLimit: 2Gi } }
{{- end -}}
