//! Runs an emulator in a container: the official image, or the one that `DTS_EMULATOR_IMAGE` names.

use std::time::Duration;
use taskhub::sdk::Client;
use testcontainers::core::IntoContainerPort as _;
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, GenericImage, ImageExt as _};
use tokio::sync::OnceCell;

/// The official image, pinned: what a test ran against is not to change by itself.
const OFFICIAL: &str = "mcr.microsoft.com/dts/dts-emulator:v0.0.10";

/// How long an image may take to be pulled and to start.
const PATIENCE: Duration = Duration::from_secs(120);

/// A container; it is removed when this is dropped.
pub(crate) struct Running {
    _container: ContainerAsync<GenericImage>,
}

/// A fresh container and where it answers, or why there is none. What is known to be impossible is not tried again.
pub(crate) async fn start() -> Result<(String, Running), String> {
    static POSSIBLE: OnceCell<Result<(), String>> = OnceCell::const_new();
    let mut first = None;
    let possible = POSSIBLE.get_or_init(async || match fresh().await {
        Ok(running) => {
            first = Some(running);
            Ok(())
        }
        Err(why) => Err(why),
    });
    possible.await.clone()?;
    match first {
        Some(running) => Ok(running),
        None => fresh().await,
    }
}

async fn fresh() -> Result<(String, Running), String> {
    let image = std::env::var("DTS_EMULATOR_IMAGE").unwrap_or_else(|_| OFFICIAL.to_owned());
    let (name, tag) = image.rsplit_once(':').ok_or_else(|| format!("the image {image} has no tag"))?;
    let starting =
        GenericImage::new(name, tag).with_exposed_port(8080.tcp()).with_startup_timeout(PATIENCE).start();
    let container = tokio::time::timeout(PATIENCE, starting)
        .await
        .map_err(|_| format!("the image {image} did not start within {PATIENCE:?}"))?
        .map_err(|error| format!("the image {image} does not start: {error}"))?;
    let port = container.get_host_port_ipv4(8080.tcp()).await.map_err(|error| error.to_string())?;
    let endpoint = format!("http://127.0.0.1:{port}");
    // Not the first open port but the first answer counts.
    let answers = async {
        // A try is a connection and a call; of no image is there another sign that it serves.
        while !matches!(Client::connect(&endpoint).await, Ok(client) if client.ping().await.is_ok()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, answers)
        .await
        .map_err(|_| format!("the image {image} does not answer within {PATIENCE:?}"))?;
    Ok((endpoint, Running { _container: container }))
}
