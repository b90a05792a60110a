#!/usr/bin/env bash
# Stands in for `docker` where an official test starts the emulator itself: it starts ours, on the port it shall have.
set -u

case ${1:-} in
  info) ;;
  run)
    ${TASKHUB_EMULATOR//\{port\}/$TASKHUB_SHIM_PORT} >/dev/null 2>&1 &
    echo $! >"$TASKHUB_SHIM_PID"
    ;;
  rm) [ ! -e "$TASKHUB_SHIM_PID" ] || { kill "$(cat "$TASKHUB_SHIM_PID")"; rm "$TASKHUB_SHIM_PID"; } ;;
  *) exit 1 ;;
esac
