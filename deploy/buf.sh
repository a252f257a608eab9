#!/usr/bin/env bash
# Lints proto/ and holds it against the last commit: no field, method or number may change its meaning.
set -euo pipefail
cd "$(dirname "$0")/.."

version=1.75.0
folder=.buf
if ! command -v npm >/dev/null; then
  echo "buf: npm is missing; install Node.js (Debian: apt-get install -y npm)" >&2
  exit 1
fi
if [[ ! -x $folder/node_modules/.bin/buf ]]; then
  npm install --silent --no-audit --no-fund --prefix "$folder" "@bufbuild/buf@$version"
fi
buf=$folder/node_modules/.bin/buf

"$buf" lint proto
if git rev-parse --verify --quiet "${1:-HEAD}:proto" >/dev/null; then
  before=$(mktemp -d)
  trap 'rm -rf "$before"' EXIT
  git archive "${1:-HEAD}" proto | tar -x -C "$before"
  "$buf" breaking proto --against "$before/proto"
fi
echo "buf: proto/ is clean"
