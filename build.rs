//! Generates the wire types from `proto/`, without a `protoc` on the machine.

use protox::prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(["proto/orchestrator_service.proto"], ["proto"])?;
    // What the protocol says of itself, for writing and reading its JSON.
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("protocol.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .build_server(std::env::var_os("CARGO_FEATURE_EMULATOR").is_some())
        .build_client(std::env::var_os("CARGO_FEATURE_SDK").is_some())
        .build_transport(false)
        .codec_path("crate::codec::SmallBufferCodec")
        // Map order must not depend on a hasher: histories are compared and snapshotted.
        .btree_map(".")
        // The rare, large events would otherwise decide the size of every event in memory.
        .boxed(".HistoryEvent.eventType.executionStarted")
        .boxed(".HistoryEvent.eventType.executionRewound")
        .boxed(".HistoryEvent.eventType.historyState")
        .disable_comments(["."])
        .compile_fds(descriptors)?;
    Ok(())
}
