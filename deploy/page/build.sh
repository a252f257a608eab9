#!/usr/bin/env bash
# Builds the script of the report, worldloom/report/page/bundle.js, from its sources and three.js.
# Needs npm; only to be run after a change to the sources or to the version of three.js.
set -euo pipefail
cd "$(dirname "$0")"

command -v npm >/dev/null || {
  echo "build: npm is missing; on Debian and Ubuntu: sudo apt-get install -y npm" >&2
  exit 1
}
page=../../worldloom/report/page
npm ci --no-audit --no-fund --silent
# The sources lie outside of this folder, so three.js is named, not looked up beside them.
npx esbuild "$page/source/main.js" --bundle --minify --format=iife --target=es2022 --charset=utf8 \
  --legal-comments=inline --alias:three=./node_modules/three/build/three.module.js \
  --alias:three/addons=./node_modules/three/examples/jsm \
  --log-level=warning --outfile="$page/bundle.js"
cp node_modules/three/LICENSE "$page/three.LICENSE.txt"
python3 stamp.py
