//! Asks a running emulator for its health, without a client and without a shell: what the image's HEALTHCHECK runs.

use crate::arguments::Healthcheck;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Longest wait for each of: connection, request, answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why the emulator is not well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unwell {
    /// Nobody answers.
    #[error("no answer from {address}: {source}; is the emulator running, and is this its --http-port?")]
    Silent { address: String, source: std::io::Error },
    /// Somebody answers, and not as a healthy emulator does.
    #[error("{address}{path} answered {answer:?}")]
    Answer { address: String, path: &'static str, answer: String },
}

/// Asks for `/healthz`, and for the hub if one is named.
pub(crate) fn healthcheck(flags: &Healthcheck) -> Result<(), Unwell> {
    // An emulator that listens everywhere is asked on the loopback.
    let host = match flags.host.as_str() {
        "0.0.0.0" => "127.0.0.1",
        "::" | "[::]" => "::1",
        host => host.trim_matches(['[', ']']),
    };
    let address = if host.contains(':') {
        format!("[{host}]:{}", flags.http_port)
    } else {
        format!("{host}:{}", flags.http_port)
    };
    get(&address, "/healthz", None)?;
    match &flags.hub {
        Some(hub) => get(&address, "/v1/taskhubs/ping", Some(hub)),
        None => Ok(()),
    }
}

fn get(address: &str, path: &'static str, hub: Option<&str>) -> Result<(), Unwell> {
    let answer =
        ask(address, path, hub).map_err(|source| Unwell::Silent { address: address.to_owned(), source })?;
    let status = answer.split(' ').nth(1).unwrap_or_default();
    if status.len() == 3 && status.starts_with('2') {
        return Ok(());
    }
    let answer = answer.lines().next().unwrap_or_default().to_owned();
    Err(Unwell::Answer { address: address.to_owned(), path, answer })
}

fn ask(address: &str, path: &str, hub: Option<&str>) -> std::io::Result<String> {
    let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
    for candidate in address.to_socket_addrs()? {
        let mut stream = match TcpStream::connect_timeout(&candidate, PATIENCE) {
            Ok(stream) => stream,
            Err(error) => {
                last = error;
                continue;
            }
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let hub = hub.map(|hub| format!("x-taskhub: {hub}\r\n")).unwrap_or_default();
        stream.write_all(
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{hub}Connection: close\r\n\r\n").as_bytes(),
        )?;
        // The first line is all that counts; an emulator that keeps the connection open must not stall us.
        let mut answer = Vec::new();
        let mut part = [0; 512];
        while !answer.contains(&b'\n') {
            match stream.read(&mut part)? {
                0 => break,
                length => answer.extend_from_slice(&part[..length]),
            }
        }
        return Ok(String::from_utf8_lossy(&answer).into_owned());
    }
    Err(last)
}
