#!/usr/bin/env bash
# Makes sure that there is a browser for the tests of the pages.
set -euo pipefail

if command -v chromium >/dev/null; then
  exit 0
fi
if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
  echo "pages: chromium is missing; run this, then make pages again:
  sudo apt-get update && sudo apt-get install -y --no-install-recommends chromium" >&2
  exit 1
fi
echo "pages: installing chromium"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends chromium
