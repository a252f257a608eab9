#!/usr/bin/env bash
# Gets promtool, the checker of Prometheus, from Debian's package into .deploy-check, without
# installing the server that is in the package too. Does nothing when it is there.
set -euo pipefail
cd "$(dirname "$0")/.."

home=.deploy-check
if command -v promtool >/dev/null || [[ -x $home/usr/bin/promtool ]]; then
  exit 0
fi
if ! command -v apt-get >/dev/null; then
  echo "checks: promtool is missing; it is in Prometheus' release archives: put it on the PATH" >&2
  exit 1
fi
echo "checks: getting promtool (20 MB)"
[[ $(id -u) != 0 ]] || apt-get update -qq
rm -rf "$home"
mkdir -p "$home"
(cd "$home" && apt-get download -qq prometheus 2>/dev/null && dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb)
"$home/usr/bin/promtool" --version >/dev/null
