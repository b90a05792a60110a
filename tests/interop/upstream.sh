#!/usr/bin/env bash
# Runs Microsoft's own suites, unmodified, from a checkout of one of its SDKs, against our emulator.
#
#   tests/interop/upstream.sh python-dts  CHECKOUT   what is marked for the DTS emulator, and the five unmarked
#   tests/interop/upstream.sh python-core CHECKOUT   what is meant for the SDK's own in-memory backend
#   tests/interop/upstream.sh js          CHECKOUT   the JavaScript SDK's suite for the DTS emulator
#   tests/interop/upstream.sh java        CHECKOUT   what the Java SDK tags "integration": client, payloads, export
#   tests/interop/upstream.sh go          CHECKOUT   the Go SDK's client suite (tests/grpc)
#
# Prints "SUITE: PASSED of TOTAL" and ends with 0 when that is all of them, with 1 when some fail, and with 2 when
# the suite could not run; then one line says why. TASKHUB_EMULATOR is the command that starts the emulator on
# {port}; without it the release build of this repository. TASKHUB_UPSTREAM_PYTHON is a Python in which the checkout's
# packages are installed; without it one is made in target/interop/upstream. The large-payload tests want Azurite's
# blob service on port 10000 (npm package azurite); it is started where it is found in TASKHUB_AZURITE (a
# node_modules folder), and installed in target/interop/upstream/azurite without it.
#
# Java: the checkout builds with Gradle, which is not needed; Maven compiles the same sources with a project that is
# made in target/interop/upstream/java. The suite asks for port 4001. Expected: 97 of 98, 7 disabled upstream.
# `purgeInstanceFilter` counts what tests before it have left behind, and passes alone.
#
# Go: the suite starts the SDK's own scheduler; TestMain, which does so, is replaced in a copy (upstream_overlay.py),
# the tests are as they are. Expected: 8 of 10. `ReuseInstanceIDIgnore` and `ReuseInstanceIDTerminate` send a reuse
# policy of an older protocol, whose action was field 2; that field is gone, and without it their statuses are refused.
set -uo pipefail

suite=${1:?which suite: python-dts, python-core, js, java or go}
checkout=$(cd "${2:?a checkout of the SDK}" && pwd) || exit 2
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$root/target/interop/upstream
mkdir -p "$work"

if [ -z "${TASKHUB_EMULATOR:-}" ]; then
  (cd "$root" && cargo build --release --quiet --bin taskhub) || exit 2
  TASKHUB_EMULATOR="$root/target/release/taskhub emulator --grpc-port {port} --http-port 0 --dashboard-port 0"
fi
export TASKHUB_EMULATOR

started=()
finish() { for pid in "${started[@]:-}"; do [ -z "$pid" ] || kill "$pid" 2>/dev/null; done; }
trap finish EXIT

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

wait_for_port() {
  for _ in $(seq 500); do
    listens "$1" && return 0
    python3 -c 'import time; time.sleep(0.02)'
  done
  echo "nothing listens on port $1" >&2
  return 1
}

emulator() {
  local command=${TASKHUB_EMULATOR//\{port\}/$1}
  $command >"$work/emulator.log" 2>&1 &
  started+=($!)
  wait_for_port "$1"
}

# cannot_run REASON
cannot_run() {
  echo "$suite: not run: $1"
  exit 2
}

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

azurite() {
  listens 10000 && return 0
  local modules=${TASKHUB_AZURITE:-$work/azurite/node_modules}
  local program=$modules/.bin/azurite-blob
  if [ ! -x "$program" ] && [ -z "${TASKHUB_AZURITE:-}" ] && command -v npm >/dev/null; then
    mkdir -p "$work/azurite"
    (cd "$work/azurite" && echo '{"private": true}' >package.json &&
      npm install --silent --no-audit --no-fund --ignore-scripts azurite >"$work/azurite.log" 2>&1)
  fi
  [ -x "$program" ] || { echo "$suite: no Azurite on this machine: the large-payload tests will fail"; return 0; }
  "$program" --inMemoryPersistence --silent --skipApiVersionCheck --blobPort 10000 >"$work/azurite.log" 2>&1 &
  started+=($!)
  wait_for_port 10000
}

python() {
  if [ -z "${TASKHUB_UPSTREAM_PYTHON:-}" ]; then
    TASKHUB_UPSTREAM_PYTHON=$work/python/bin/python
    if [ ! -e "$work/python/ready" ]; then
      python3 -m venv "$work/python" || exit 2
      # Both editable: the second is a sub-package of the first, in a distribution of its own.
      "$TASKHUB_UPSTREAM_PYTHON" -m pip install --quiet \
        -e "$checkout[azure-blob-payloads,opentelemetry,history-export-azure]" -e "$checkout/durabletask-azuremanaged" \
        pytest pytest-asyncio pytest-timeout azure-identity aiohttp || exit 2
      touch "$work/python/ready"
    fi
  fi
  (cd "$checkout" && "$TASKHUB_UPSTREAM_PYTHON" -m pytest -q -p no:cacheprovider --timeout=120 \
    --junitxml="$work/$suite.xml" "$@")
}

# Reads the sums out of a JUnit report.
sums() {
  python3 - "$@" <<'PYTHON'
import sys
import xml.etree.ElementTree as xml

total = bad = disabled = 0
for path in sys.argv[2:]:
    for suite in xml.parse(path).getroot().iter("testsuite"):
        total += int(suite.get("tests", 0)) - int(suite.get("skipped", 0))
        disabled += int(suite.get("skipped", 0))
        bad += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        for case in suite.iter("testcase"):
            if case.find("failure") is not None or case.find("error") is not None:
                print(f"failed: {case.get('classname')} {case.get('name')}")
print(f"{sys.argv[1]}: {total - bad} of {total}" + f", {disabled} disabled upstream" * bool(disabled))
sys.exit(0 if total and not bad else 1)
PYTHON
}

case $suite in
  python-dts)
    azurite
    port=$(free_port)
    emulator "$port" || exit 2
    export TASKHUB=default ENDPOINT=http://127.0.0.1:$port
    python tests/durabletask-azuremanaged -m dts
    cp "$work/$suite.xml" "$work/$suite-marked.xml"
    python tests/durabletask-azuremanaged/entities/test_dts_entity_failure_handling.py
    sums "$suite" "$work/$suite-marked.xml" "$work/$suite.xml"
    ;;
  python-core)
    azurite
    export PYTHONPATH=$here${PYTHONPATH:+:$PYTHONPATH}
    python -p upstream_plugin $(cd "$checkout" && ls tests/durabletask/*_e2e.py) \
      tests/durabletask/entities tests/durabletask/scheduled tests/durabletask/test_batch_actions.py
    sums "$suite" "$work/$suite.xml"
    ;;
  js)
    (cd "$checkout" && [ -d node_modules ] || npm install --ignore-scripts --no-save --no-audit --no-fund)
    azurite
    export TASKHUB=default
    # Skipped unless asked for: it wants Azurite.
    listens 10000 && export EXPORT_HISTORY_E2E=1
    port=$(free_port)
    emulator "$port" || exit 2
    # One file is left out: it wants nothing to listen at first, and starts the official image itself.
    (cd "$checkout" && ENDPOINT=127.0.0.1:$port npx jest test/e2e-azuremanaged --forceExit \
      --testPathIgnorePatterns node_modules worker-stream-recovery --json --outputFile="$work/js.json")
    python3 - "$work/js.json" <<'PYTHON'
import json
import sys

report = json.load(open(sys.argv[1]))
for file in report["testResults"]:
    for test in file["assertionResults"]:
        if test["status"] == "failed":
            print("failed:", test["fullName"])
passed, failed = report["numPassedTests"], report["numFailedTests"]
skipped, broken = report["numPendingTests"], report["numRuntimeErrorTestSuites"]
print(f"js: {passed} of {passed + failed}, {skipped} skipped by the suite itself, {broken} files broken")
sys.exit(0 if passed and not failed and not broken else 1)
PYTHON
    ;;
  java)
    command -v mvn >/dev/null && command -v javac >/dev/null || cannot_run "Maven and a JDK are not on this machine"
    listens 4001 && cannot_run "the suite asks for port 4001, and something else listens there"
    mkdir -p "$work/java"
    python3 "$here/upstream_pom.py" "$checkout" "$work/java" >"$work/java/pom.xml" || exit 2
    (cd "$work/java" && mvn -B -q -Dstyle.color=never test-compile >"$work/java.log" 2>&1) ||
      cannot_run "it does not build (no access to Maven Central?): $(grep -m 1 ERROR "$work/java.log")"
    azurite
    emulator 4001 || exit 2
    rm -rf "$work/java/target/surefire-reports"
    (cd "$work/java" && mvn -B -q -Dstyle.color=never surefire:test >"$work/java.log" 2>&1)
    sums java "$work"/java/target/surefire-reports/TEST-*.xml
    ;;
  go)
    command -v go >/dev/null || cannot_run "Go is not on this machine"
    mkdir -p "$work/go"
    python3 "$here/upstream_overlay.py" "$checkout" "$work/go" >"$work/go/overlay.json" || exit 2
    (cd "$checkout" && go test -overlay "$work/go/overlay.json" -c -o "$work/go/suite" ./tests/grpc >"$work/go.log" 2>&1) ||
      cannot_run "it does not build (no access to the module proxy?): $(head -1 "$work/go.log")"
    port=$(free_port)
    emulator "$port" || exit 2
    export TASKHUB_ADDRESS=127.0.0.1:$port
    "$work/go/suite" -test.v -test.timeout 5m >"$work/go.log" 2>&1
    grep -h '^--- FAIL' "$work/go.log" | sed 's/^--- FAIL/failed/'
    # A test that stops the program leaves those after it without a verdict: they count as failed.
    total=$("$work/go/suite" -test.list . | grep -c '^Test') || true
    passed=$(grep -c '^--- PASS' "$work/go.log") || true
    echo "go: $passed of $total"
    [ "$total" -gt 0 ] && [ "$passed" = "$total" ]
    ;;
  *)
    echo "no such suite: $suite" >&2
    exit 2
    ;;
esac
