//! Binds the ports, on both addresses that `localhost` means.

use super::start_error::StartError;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as StdListener};

/// How many free ports are tried until one is free on both addresses.
const TRIES: usize = 32;

/// The listeners of one port.
#[derive(Debug)]
pub(super) struct BoundPort<L = StdListener> {
    /// The address that was asked for, with its port.
    pub(super) address: SocketAddr,
    /// The listener there, and the one on the other loopback address if there is one.
    pub(super) listeners: Vec<L>,
}

/// Binds an address. Where it is one that `localhost` means, or every address of IPv4, binds the other loopback address
/// too: a client that resolves `localhost` may try either first.
pub(super) fn bind(address: SocketAddr) -> Result<BoundPort, StartError> {
    bind_with(address, |address| {
        let listener = StdListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    })
}

fn bind_with<L>(
    wanted: SocketAddr,
    mut listen: impl FnMut(SocketAddr) -> io::Result<(L, SocketAddr)>,
) -> Result<BoundPort<L>, StartError> {
    // A port that is free on one address alone is held until the search ends: the system would offer it again.
    let mut held = Vec::new();
    loop {
        let (listener, address) = listen(wanted).map_err(|source| bind_error(wanted, source))?;
        let Some(other) = other_loopback(address.ip()) else {
            return Ok(BoundPort { address, listeners: vec![listener] });
        };
        let other = SocketAddr::new(other, address.port());
        match listen(other) {
            Ok((second, _)) => return Ok(BoundPort { address, listeners: vec![listener, second] }),
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                // The machine lacks that address family, so `localhost` does not mean that address there either.
                return Ok(BoundPort { address, listeners: vec![listener] });
            }
            Err(_) if wanted.port() == 0 && held.len() < TRIES => held.push(listener),
            Err(source) => return Err(bind_error(other, source)),
        }
    }
}

fn bind_error(address: SocketAddr, source: io::Error) -> StartError {
    if source.kind() == io::ErrorKind::AddrInUse {
        StartError::PortInUse { address }
    } else {
        StartError::Bind { address, source }
    }
}

/// The other address that `localhost` means. A listener on every address of IPv6 serves both families already.
fn other_loopback(ip: IpAddr) -> Option<IpAddr> {
    if ip == Ipv4Addr::LOCALHOST || ip == Ipv4Addr::UNSPECIFIED {
        Some(Ipv6Addr::LOCALHOST.into())
    } else if ip == Ipv6Addr::LOCALHOST {
        Some(Ipv4Addr::LOCALHOST.into())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// A machine whose free ports begin at 1000, and where another program holds some on the IPv6 loopback address.
    fn machine(taken: &[u16]) -> impl FnMut(SocketAddr) -> io::Result<((), SocketAddr)> {
        let mut next = 1_000;
        move |mut address| {
            if address.port() == 0 {
                address.set_port(next);
                next += 1;
            }
            if address.is_ipv6() && taken.contains(&address.port()) {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            Ok(((), address))
        }
    }

    #[test]
    fn a_free_port_is_one_that_is_free_on_both_addresses() {
        let bound = bind_with(SocketAddr::new(V4, 0), machine(&[1_000, 1_001])).unwrap();
        assert_eq!((bound.address, bound.listeners.len()), (SocketAddr::new(V4, 1_002), 2));
    }

    #[test]
    fn where_no_port_is_free_on_both_it_gives_up_by_name() {
        let all: Vec<u16> = (1_000..2_000).collect();
        let refused = bind_with(SocketAddr::new(V4, 0), machine(&all)).unwrap_err();
        assert!(matches!(refused, StartError::PortInUse { address } if address.is_ipv6()), "{refused}");
    }

    #[test]
    fn a_machine_without_ipv6_has_one_listener() {
        let without = |address: SocketAddr| match address {
            SocketAddr::V4(_) => Ok(((), address)),
            SocketAddr::V6(_) => Err(io::ErrorKind::AddrNotAvailable.into()),
        };
        let bound = bind_with(SocketAddr::new(V4, 8_080), without).unwrap();
        assert_eq!((bound.address, bound.listeners.len()), (SocketAddr::new(V4, 8_080), 1));
    }
}
