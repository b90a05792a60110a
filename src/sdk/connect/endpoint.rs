//! Parses the address of a scheduler.

use std::fmt;

/// Where a scheduler listens: host, port, and whether it speaks TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    tls: bool,
    host: String,
    port: u16,
}

impl Endpoint {
    /// Parses `http://host:port` (plain), `https://host:port` (TLS), or either without a port (80 and 443).
    ///
    /// `grpc://` and `grpcs://` mean the same two. Without a scheme it is `https://`, as in the official SDKs; on this
    /// machine, where an emulator would be meant, it has to be said.
    ///
    /// # Errors
    ///
    /// [`InvalidTarget::Endpoint`] says what is wrong with it.
    pub fn parse(raw: &str) -> Result<Self, InvalidTarget> {
        let raw = raw.trim();
        let wrong = |why: &'static str| InvalidTarget::Endpoint { endpoint: raw.to_owned(), why };
        if raw.is_empty() {
            return Err(wrong("it is empty"));
        }
        let (scheme, rest) = raw.split_once("://").unwrap_or(("https", raw));
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "http" | "grpc" => false,
            "https" | "grpcs" => true,
            _ => return Err(wrong("its scheme is neither http:// nor https://")),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#']) {
            return Err(wrong("it has a path; a scheduler's address ends after the port"));
        }
        if rest.contains('@') {
            return Err(wrong("it has a user name in it; identity goes into 'Authentication'"));
        }
        let authority: http::uri::Authority =
            rest.parse().map_err(|_| wrong("what follows the scheme is not host:port"))?;
        if authority.host().is_empty() {
            return Err(wrong("it has no host"));
        }
        let after_host = rest.strip_prefix(authority.host()).unwrap_or_default();
        let port = match (after_host.strip_prefix(':'), tls) {
            (Some(port), _) => match port.parse() {
                Ok(0) | Err(_) => return Err(wrong("its port is not a number from 1 to 65535")),
                Ok(port) => port,
            },
            (None, true) => 443,
            (None, false) => 80,
        };
        let read = Self { tls, host: authority.host().to_owned(), port };
        // With TLS it would fail far from here, and an emulator has none.
        if read.is_loopback() && !raw.contains("://") {
            return Err(wrong(
                "it has no scheme and is on this machine; http:// before it reaches an emulator",
            ));
        }
        Ok(read)
    }

    /// Whether it speaks TLS.
    pub const fn is_tls(&self) -> bool {
        self.tls
    }

    /// The host: a name, or an address (IPv6 in brackets).
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is on this machine, by its name: `localhost` or a loopback address.
    pub fn is_loopback(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost")
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// `http://host:port` or `https://host:port`, always with the port.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", if self.tls { "https" } else { "http" }, self.host, self.port)
    }
}

/// Why a target was turned down: part of what was given is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTarget {
    /// A part that must be there is not.
    #[error("the connection string must contain a '{name}' property; add '{name}=...'")]
    Missing {
        /// The part's name.
        name: &'static str,
    },
    /// A part is not `key=value`. Its text is not repeated, because it may be a secret.
    #[error(
        "part {position} of the connection string is not of the form key=value; parts are separated by ';'"
    )]
    NotAPair {
        /// Which part, counted from 1.
        position: usize,
    },
    /// The address is not one.
    #[error(
        "the endpoint '{endpoint}' is not an address of a scheduler: {why}; write http://host:port or https://host"
    )]
    Endpoint {
        /// The address as given.
        endpoint: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// There is no such type of authentication.
    #[error("unsupported authentication type '{given}'; choose one of {choices}")]
    Authentication {
        /// The type as given.
        given: String,
        /// What can be chosen.
        choices: &'static str,
    },
    /// Another language's SDK can do it; Rust cannot.
    #[error(
        "authentication type '{given}' cannot be served in Rust, which has no library for it; choose one of {choices}"
    )]
    CannotServe {
        /// The type as given.
        given: String,
        /// What can be chosen instead.
        choices: &'static str,
    },
    /// The identity needs something that is not there.
    #[error("authentication type '{given}' cannot be set up: {why}")]
    Identity {
        /// The type.
        given: &'static str,
        /// What is missing.
        why: String,
    },
    /// The token would be sent without encryption.
    #[error(
        "a token would travel in the clear to {endpoint}; use https://, or Authentication=None for an emulator"
    )]
    TokenInTheClear {
        /// The plain address.
        endpoint: Endpoint,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_its_names() {
        for (raw, here) in [
            ("http://localhost:8080", true),
            ("http://LOCALHOST", true),
            ("http://127.0.0.1:1", true),
            ("http://[::1]:1", true),
            ("http://10.0.0.1:1", false),
            ("https://localhost.example:1", false),
        ] {
            assert_eq!(Endpoint::parse(raw).unwrap().is_loopback(), here, "{raw}");
        }
    }

    #[track_caller]
    fn reads_as(raw: &str, expected: &str) {
        assert_eq!(Endpoint::parse(raw).unwrap().to_string(), expected);
    }

    #[test]
    fn the_scheme_says_whether_it_is_plain_or_tls() {
        reads_as("http://localhost:8080", "http://localhost:8080");
        reads_as("https://s.westus.durabletask.io", "https://s.westus.durabletask.io:443");
        reads_as("GRPC://localhost", "http://localhost:80");
        reads_as("grpcs://localhost", "https://localhost:443");
        reads_as(" http://[::1]:8080/ ", "http://[::1]:8080");
    }

    #[test]
    fn without_a_scheme_it_is_tls() {
        reads_as("s.westus.durabletask.io", "https://s.westus.durabletask.io:443");
        reads_as("box:8080", "https://box:8080");
    }

    #[test]
    fn what_is_not_an_address_is_refused_with_the_reason() {
        for (raw, part) in [
            ("", "empty"),
            ("ftp://localhost", "scheme"),
            ("http://", "host"),
            ("http://localhost:0", "port"),
            ("http://localhost:99999", "port"),
            ("http://localhost:8080/hub", "path"),
            ("http://me@localhost:8080", "user name"),
            ("http://local host", "host:port"),
            ("127.0.0.1:8080", "http:// before it"),
            ("localhost", "http:// before it"),
        ] {
            let error = Endpoint::parse(raw).unwrap_err().to_string();
            assert!(error.contains(part), "{raw:?}: {error}");
        }
    }
}
