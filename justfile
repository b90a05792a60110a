# Recipes for `just`; each is a command that works without it.

# Everything that CI checks, and how CI checks it.
verify:
    .ci/run

# The quick half: what a commit should pass.
check:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
    cargo test

# The pure floors, the test hub and the sample, without tokio or tonic.
pure:
    cargo test --no-default-features

# The demo: fan-out/fan-in against an emulator in the process.
demo *ARGS:
    cargo run --release -- {{ARGS}}

# The container image, from a static binary. Needs Docker's engine, and no registry.
image TAG="taskhub:local":
    tests/container/image.sh {{TAG}}

# The container target alone, against our image.
container: (image "taskhub:ci")
    DTS_EMULATOR_IMAGE=taskhub:ci TASKHUB_TEST_TARGET=container cargo test --test emulator

# The other languages' packages that tests/interop/ talks to.
interop:
    tests/interop/setup.sh
    cargo test --test interop

# Random cases against the engine, as many as CI runs.
properties CASES="1000000":
    TASKHUB_PROPERTY_CASES={{CASES}} cargo test --release --package taskhub --no-default-features --test properties

# A mixed load under which workers are killed, and a check of everything that came of it.
soak SECONDS="60":
    cargo bench --bench soak -- --seconds {{SECONDS}}

# What ten cycles of 40,000 instances leave behind in memory.
memory:
    cargo bench --bench memory -- cycles

# The workloads, each beside the ceiling measured in the same run.
bench *ARGS:
    cargo bench {{ARGS}}

# The documentation, as docs.rs builds it.
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --package taskhub --no-deps --all-features
