#!/usr/bin/env bash
# Gets the foreign readers of `make interop` into .interop, at fixed versions. Does nothing when
# nothing changed. Needs the .venv of `make setup`, and as root or with the packages there: apt.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-.venv/bin/python}
home=.interop
stamp=$home/.ready
state=$(sha256sum deploy/interop.sh | cut -d ' ' -f 1)
if [[ -f $stamp && $(<"$stamp") == "$state" ]]; then
  exit 0
fi

fail() {
  printf 'interop: %s\n' "$*" >&2
  exit 1
}

# Debian 12: Blender 3.4.1 without USD, PCL 1.13.0. What is newer is used as it is.
missing=()
for pair in blender:blender pcl_convert_pcd_ascii_binary:pcl-tools node:nodejs npm:npm; do
  command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
# The glTF add-on of Debian's Blender needs it, but the package does not ask for it.
/usr/bin/python3 -c 'import numpy' 2>/dev/null || missing+=(python3-numpy)
if ((${#missing[@]})); then
  if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
    fail "system packages are missing; run this, then make interop again:
  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}"
  fi
  echo "interop: installing system packages: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

[[ -x $python ]] || fail "there is no $python; run make setup first, or name one: PYTHON=..."
rm -rf "$home"
mkdir -p "$home"
echo "interop: installing readers (400 MB the first time)"
pip=("$python" -m pip --disable-pip-version-check install --no-input -q --only-binary ':all:')
# Blender as a module, with USD. It brings a numpy of its own, so it lives and runs apart.
"${pip[@]}" --no-deps --target "$home/blender" 'bpy==5.0.1' 'numpy==1.26.4' ||
  fail "pip has no Blender for this Python; bpy 5.0.1 is for Python 3.11: PYTHON=python3.11 $0"
"${pip[@]}" --no-deps --target "$home/readers" 'ufbx==0.0.5' 'laszip==0.3.0' 'e57==0.2.3' \
  'gsply==0.4.6'
npm install --silent --no-audit --no-fund --prefix "$home" \
  gltf-validator@2.0.0-dev.3.10 copc@0.0.8 laz-perf@0.0.7 @playcanvas/splat-transform@3.7.0
printf '%s\n' "$state" >"$stamp"
echo "interop: done"
