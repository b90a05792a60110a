//! Names an address the way clients on this machine reach it.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

#[doc(hidden)]
/// The address by which clients on this machine reach a listener: the loopback address, where it listens on all.
pub fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

#[doc(hidden)]
/// The authority of a listener's URL: `localhost` and the port, where `localhost` reaches it.
///
/// SDKs tell an emulator from a scheduler in Azure by that name.
pub fn authority(address: SocketAddr) -> String {
    let ip = address.ip();
    if ip.is_unspecified() || ip == Ipv4Addr::LOCALHOST || ip == Ipv6Addr::LOCALHOST {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    }
}
