//! Connects to `localhost` without asking the system what that means, which takes longer than all the rest of it.

use http::Uri;
use hyper_util::rt::TokioIo;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tonic::codegen::Service;

/// Makes connections to a port of this machine: over IPv4, and where nothing listens there, over IPv6.
#[derive(Debug, Clone)]
pub(super) struct Loopback {
    pub(super) port: u16,
}

impl Service<Uri> for Loopback {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let port = self.port;
        Box::pin(async move {
            let stream = match TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
                Ok(stream) => stream,
                Err(first) => TcpStream::connect((Ipv6Addr::LOCALHOST, port)).await.map_err(|_| first)?,
            };
            stream.set_nodelay(true)?;
            Ok(TokioIo::new(stream))
        })
    }
}
