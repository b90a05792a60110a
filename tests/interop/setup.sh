#!/usr/bin/env bash
# Installs the published packages of other languages that tests/interop/ talks to, into target/interop.
#
# Python: durabletask and durabletask.azuremanaged, in target/interop/venv. JavaScript: @microsoft/durabletask-js,
# in target/interop/node. Java: com.microsoft:durabletask-client, and our stories compiled, in target/interop/java. Go:
# github.com/microsoft/durabletask-go, and our stories compiled, in target/interop/go. What is there already, in the
# version wanted, stays. A language that this machine does not have is said and left out, and is no failure; a
# package that cannot be had is one.
set -euo pipefail

durabletask=1.12.0
durabletask_js=0.4.0
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
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

if command -v mvn >/dev/null && command -v javac >/dev/null; then
  # The sources are part of the version: a changed story is compiled again.
  stories=$(cat "$here/java/pom.xml" "$here/java/Stories.java" | cksum)
  if [ "$(cat "$work/java/version" 2>/dev/null)" != "$stories" ]; then
    rm -rf "$work/java"
    mvn -q -B -Dstyle.color=never -f "$here/java/pom.xml" dependency:copy-dependencies "-DoutputDirectory=$work/java/jars"
    javac -d "$work/java/classes" -cp "$work/java/jars/*" "$here/java/Stories.java"
    echo "$stories" >"$work/java/version"
  fi
  echo "java: com.microsoft:$(basename "$work"/java/jars/durabletask-client-*.jar .jar) in target/interop/java"
else
  echo "java: Maven and a JDK are not on this machine"
fi

if command -v go >/dev/null; then
  # `go build` looks itself whether there is something to do.
  (cd "$here/go" && go build -buildvcs=false -o "$work/go/stories" .)
  echo "go: $(cd "$here/go" && go list -m github.com/microsoft/durabletask-go) in target/interop/go"
else
  echo "go: not on this machine"
fi
