//! Reaches an emulator by the name `localhost`, whichever of its addresses a client takes.

use super::{Channel, Client, Emulator, asked};
use pretty_assertions::assert_eq;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use taskhub::emulator::StartError;

/// The loopback addresses of this machine.
fn loopback() -> Vec<IpAddr> {
    let both = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
    let there: Vec<_> = both.into_iter().filter(|ip| TcpListener::bind((*ip, 0)).is_ok()).collect();
    if there.len() < both.len() {
        eprintln!("not tested: an IPv6 loopback address, which this machine has not");
    }
    there
}

async fn greets(endpoint: String) {
    let channel = Channel::from_shared(endpoint).unwrap().connect().await.unwrap();
    Client::new(channel).hello(()).await.unwrap();
}

#[tokio::test]
async fn an_emulator_is_named_localhost_and_answers_on_every_loopback_address() {
    for host in loopback().into_iter().chain([IpAddr::from(Ipv4Addr::UNSPECIFIED)]) {
        let emulator = Emulator::builder().host(host).health_port(0).start().await.unwrap();
        let (address, health) = (emulator.address(), emulator.health_address().unwrap());
        assert_eq!(address.ip(), host);
        let endpoint = format!("http://localhost:{}", address.port());
        assert_eq!(emulator.endpoint(), endpoint);
        assert_eq!(
            emulator.connection_string(),
            format!("Endpoint={endpoint};TaskHub=default;Authentication=None")
        );
        greets(endpoint).await;
        for ip in loopback() {
            greets(format!("http://{}", SocketAddr::new(ip, address.port()))).await;
            let answer = asked(SocketAddr::new(ip, health.port()), "/healthz", b"").await;
            assert!(answer.starts_with("HTTP/1.1 204"), "{ip}: {answer}");
        }
        emulator.stop().await;
    }
}

#[tokio::test]
async fn an_address_that_localhost_does_not_mean_is_named_as_it_is() {
    let Ok(other) = "127.0.0.2".parse::<IpAddr>() else { return };
    if TcpListener::bind((other, 0)).is_err() {
        eprintln!("not tested: 127.0.0.2, which this machine has not");
        return;
    }
    let emulator = Emulator::builder().host(other).start().await.unwrap();
    assert_eq!(emulator.endpoint(), format!("http://127.0.0.2:{}", emulator.address().port()));
}

#[tokio::test]
async fn a_port_that_another_program_has_on_the_other_loopback_address_is_named_as_taken() {
    for taken in loopback() {
        let other = TcpListener::bind((taken, 0)).unwrap();
        let port = other.local_addr().unwrap().port();
        for host in loopback() {
            let refused = Emulator::builder().host(host).port(port).start().await.unwrap_err();
            assert!(
                matches!(refused, StartError::PortInUse { address } if address == SocketAddr::new(taken, port)),
                "{refused}"
            );
        }
    }
}

#[tokio::test]
async fn a_client_that_is_told_localhost_finds_what_listens_on_either_address() {
    for ip in loopback() {
        let listener = tokio::net::TcpListener::bind((ip, 0)).await.unwrap();
        let endpoint = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let connecting = tokio::spawn(async move { taskhub::sdk::Client::connect(&endpoint).await });
        let (connection, _) = listener.accept().await.unwrap();
        drop((connection, listener));
        assert!(connecting.await.unwrap().is_err(), "nothing was said to it");
    }
}
