#!/usr/bin/env bash
# Installs the published packages of other languages that tests/interop/ talks to, into target/interop.
#
# Python: durabletask and durabletask.azuremanaged, in target/interop/venv. JavaScript: @microsoft/durabletask-js,
# in target/interop/node. What is there already, in the version wanted, stays. A language that this machine does
# not have is said and left out, and is no failure; a package that cannot be had is one.
set -euo pipefail

durabletask=1.12.0
durabletask_js=0.4.0
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$root/target/interop
mkdir -p "$work"

if command -v python3 >/dev/null; then
  if [ "$(cat "$work/venv/version" 2>/dev/null)" != "$durabletask" ]; then
    python3 -m venv "$work/venv"
    "$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
      "durabletask==$durabletask" "durabletask.azuremanaged==$durabletask"
    echo "$durabletask" >"$work/venv/version"
  fi
  echo "python: durabletask $durabletask in target/interop/venv"
else
  echo "python: not on this machine"
fi

if command -v node >/dev/null && command -v npm >/dev/null; then
  if [ "$(cat "$work/node/version" 2>/dev/null)" != "$durabletask_js" ]; then
    mkdir -p "$work/node"
    (cd "$work/node" && echo '{"private": true}' >package.json &&
      npm install --silent --no-audit --no-fund --ignore-scripts "@microsoft/durabletask-js@$durabletask_js" >/dev/null)
    echo "$durabletask_js" >"$work/node/version"
  fi
  echo "javascript: @microsoft/durabletask-js $durabletask_js in target/interop/node"
else
  echo "javascript: node is not on this machine"
fi
