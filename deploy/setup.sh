#!/usr/bin/env bash
# Makes .venv with everything that Worldloom needs. Asks nothing; does nothing when nothing changed.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.venv
stamp=$venv/.worldloom-setup
state=$(cat pyproject.toml constraints.txt deploy/setup.sh | sha256sum | cut -d ' ' -f 1)
if [[ -x $venv/bin/worldloom && -f $stamp && $(<"$stamp") == "$state" ]]; then
  exit 0
fi

fail() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  fail "no Python 3.11 or newer found; install one, or name it: PYTHON=/path/to/python3 make setup"
}

# Debian packages that this machine lacks: Python's venv module, and the shared libraries that the
# wheel of open3d is linked against but does not bring.
missing_packages() {
  "$1" - <<'PYTHON'
import ctypes
import importlib.util
import sys

LIBRARIES = {
    "libusb-1.0.so.0": "libusb-1.0-0",
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libX11.so.6": "libx11-6",
    "libudev.so.1": "libudev1",
    "libidn2.so.0": "libidn2-0",
}
missing = []
if importlib.util.find_spec("ensurepip") is None:
    missing.append(f"python3.{sys.version_info.minor}-venv")
for library, package in LIBRARIES.items():
    try:
        ctypes.CDLL(library)
    except OSError:
        missing.append(package)
print(*missing)
PYTHON
}

install_packages() {
  if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
    fail "system packages are missing; run this, then make setup again:
  sudo apt-get update && sudo apt-get install -y --no-install-recommends $*"
  fi
  echo "setup: installing system packages: $*"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "$@"
}

python=$(find_python)
missing=$(missing_packages "$python")
read -r -a packages <<<"$missing"
if ((${#packages[@]})); then
  install_packages "${packages[@]}"
fi

if ! "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo "setup: making $venv with $python"
  "$python" -m venv --clear "$venv"
fi
pip=("$venv/bin/python" -m pip --disable-pip-version-check install --no-input -q -c constraints.txt)
echo "setup: installing Python packages (a few minutes the first time)"
# torch goes first and alone, so that a build offered by the local pip configuration is taken.
"${pip[@]}" torch
"${pip[@]}" -e '.[dev,learned,e57,postgres]'
echo "setup: compiling kernels (a minute)"
# numba looks at the file of a kernel only, not at those of the kernels that it calls.
find worldloom -name '*.nb[ic]' -delete
"$venv/bin/python" deploy/warm.py
printf '%s\n' "$state" >"$stamp"
echo "setup: done"
