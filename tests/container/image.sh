#!/bin/bash
# Builds the emulator's image: a static binary from this machine, copied into an empty image.
#
#   tests/container/image.sh [TAG]          default tag: taskhub:local
#
# The binary is linked with the C library inside (crt-static), so that an image without any file can run it. On a
# machine with the musl target of Rust, TASKHUB_IMAGE_TARGET=x86_64-unknown-linux-musl uses that instead.
set -euo pipefail
cd "$(dirname "$0")/../.."

tag=${1:-taskhub:local}
host=$(rustc -vV | sed -n 's/^host: //p')
target=${TASKHUB_IMAGE_TARGET:-$host}

# With --target the flags are for the binary alone; build scripts and macros stay dynamic, as they must.
RUSTFLAGS="-C target-feature=+crt-static" cargo build --quiet --locked --profile image \
  --target "$target" --package taskhub-cli --no-default-features --features command

context=$(mktemp -d)
trap 'rm -rf "$context" "$context.log"' EXIT
cp "target/$target/image/taskhub" "$context/taskhub"
if command -v readelf >/dev/null && readelf -l "$context/taskhub" | grep -q INTERP; then
  echo "the binary asks for a dynamic linker, which an empty image does not have" >&2
  exit 1
fi

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
docker build --tag "$tag" --build-arg "VERSION=$version" --file Dockerfile "$context" >"$context.log" 2>&1 ||
  { cat "$context.log" >&2; exit 1; }
echo "$tag: $(stat -c %s "$context/taskhub" | awk '{printf "%.1f MB", $1 / 1e6}')"
