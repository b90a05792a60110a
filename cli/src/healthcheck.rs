//! Asks a running emulator for its health, without a client and without a shell: what the image's HEALTHCHECK runs.

use crate::arguments::HealthcheckFlags;
use crate::error::CliError;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::Duration;
use taskhub::emulator::reachable;

/// Longest wait for an answer that only makes an error message better.
const PROBE_TIMEOUT: Duration = Duration::from_millis(300);

/// As much of an answer as is read, in bytes.
const LONGEST: usize = 4_096;

/// Why the emulator is not healthy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HealthcheckError {
    /// No server answers.
    #[error("no answer from {address}: {source}; is the emulator running, and is this its --http-port?")]
    Silent { address: String, source: std::io::Error },
    /// A server answers, and not as a healthy emulator does.
    #[error("{address}{path} answered {answer:?}")]
    Answer { address: String, path: &'static str, answer: String },
}

impl From<HealthcheckError> for CliError {
    fn from(error: HealthcheckError) -> Self {
        Self::Run(error.to_string())
    }
}

/// Asks for `/healthz`, and for the hub if one is named.
pub(crate) fn healthcheck(flags: &HealthcheckFlags) -> Result<(), HealthcheckError> {
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
    let timeout = Duration::from_secs(u64::from(flags.timeout.get()));
    get(&address, "/healthz", None, timeout)?;
    match &flags.hub {
        Some(hub) => get(&address, "/v1/taskhubs/ping", Some(hub), timeout),
        None => Ok(()),
    }
}

fn get(
    address: &str,
    path: &'static str,
    hub: Option<&str>,
    timeout: Duration,
) -> Result<(), HealthcheckError> {
    let answer = ask(address, path, hub, timeout, |answer| answer.contains('\n'))
        .map_err(|source| HealthcheckError::Silent { address: address.to_owned(), source })?;
    let status = answer.split(' ').nth(1).unwrap_or_default();
    if status.len() == 3 && status.starts_with('2') {
        return Ok(());
    }
    let answer = answer.lines().next().unwrap_or_default().to_owned();
    Err(HealthcheckError::Answer { address: address.to_owned(), path, answer })
}

/// Which program listens at an address that is taken, if it says so: words to follow "in use".
pub(crate) fn owner(address: SocketAddr) -> &'static str {
    // Both ports of an emulator of ours answer a plain request, and name it.
    let address = reachable(address).to_string();
    let named: fn(&str) -> bool = |answer| answer.contains("taskhub emulator");
    match ask(&address, "/", None, PROBE_TIMEOUT, named) {
        Ok(answer) if named(&answer) => " by another taskhub emulator",
        Ok(_) | Err(_) => "",
    }
}

/// The answer to a request, as far as it takes to be `enough`, and in no more than `timeout` from the name's resolution to
/// the last byte.
fn ask(
    address: &str,
    path: &str,
    hub: Option<&str>,
    timeout: Duration,
    enough: impl Fn(&str) -> bool + Send + 'static,
) -> std::io::Result<String> {
    // On another thread: the system's resolver takes no deadline, and the deadline of one read does not bound an answer
    // that comes byte by byte.
    let (answer, answered) = mpsc::channel();
    let (address, path, hub) = (address.to_owned(), path.to_owned(), hub.map(str::to_owned));
    std::thread::Builder::new().spawn(move || {
        let _ = answer.send(talk(&address, &path, hub.as_deref(), timeout, enough));
    })?;
    answered.recv_timeout(timeout).unwrap_or_else(|_| {
        let late = format!("no whole answer in {timeout:?}");
        Err(std::io::Error::new(std::io::ErrorKind::TimedOut, late))
    })
}

fn talk(
    address: &str,
    path: &str,
    hub: Option<&str>,
    timeout: Duration,
    enough: impl Fn(&str) -> bool,
) -> std::io::Result<String> {
    let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
    for candidate in address.to_socket_addrs()? {
        let mut stream = match TcpStream::connect_timeout(&candidate, timeout) {
            Ok(stream) => stream,
            Err(error) => {
                last = error;
                continue;
            }
        };
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        let hub = hub.map(|hub| format!("x-taskhub: {hub}\r\n")).unwrap_or_default();
        stream.write_all(
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{hub}Connection: close\r\n\r\n").as_bytes(),
        )?;
        // A server that keeps the connection open must not stall this thread, nor one that sends without end.
        let mut answer = String::new();
        let mut part = [0; 512];
        while !enough(&answer) && answer.len() < LONGEST {
            match stream.read(&mut part)? {
                0 => break,
                length => answer.push_str(&String::from_utf8_lossy(&part[..length])),
            }
        }
        return Ok(answer);
    }
    Err(last)
}
