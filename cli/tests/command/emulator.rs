//! Runs the emulator as a command: its flags and variables, what it says, and how it ends.

use super::{Running, command, failed, succeeded, taskhub};
use pretty_assertions::{assert_eq, assert_ne};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

#[test]
fn the_emulator_says_when_it_is_ready_is_healthy_and_stops_cleanly_when_told_to() {
    let mut emulator = Running::start(&["--task-hubs", "default, orders"]);
    let ready = emulator.ready_file();
    assert_eq!(ready["taskHubs"], serde_json::json!(["default", "orders"]));
    let http = ready["httpPort"].to_string();

    succeeded(&taskhub(&["healthcheck", "--http-port", &http]));
    succeeded(&taskhub(&["healthcheck", "--http-port", &http, "--hub", "orders"]));
    let message = failed(&taskhub(&["healthcheck", "--http-port", &http, "--hub", "nowhere"]), 1);
    assert!(message.contains("/v1/taskhubs/ping answered"), "{message}");

    assert_eq!(emulator.stop("TERM"), 0);
    failed(&taskhub(&["healthcheck", "--http-port", &http]), 1);
}

#[test]
fn the_limits_of_the_service_hold_unless_they_are_switched_off() {
    let mut emulator = Running::start(&[]);
    assert!(!emulator.banner.contains("Limits"), "{}", emulator.banner);
    assert_eq!(emulator.stop("TERM"), 0);
    for (flags, variables) in
        [(&["--service-limits", "off"][..], &[][..]), (&[], &[("DTS_SERVICE_LIMITS", "false")])]
    {
        let mut emulator = Running::start_with(flags, variables);
        assert!(emulator.banner.contains("Limits     none"), "{}", emulator.banner);
        assert_eq!(emulator.stop("TERM"), 0);
    }
}

#[test]
fn an_interrupt_stops_the_emulator_too() {
    assert_eq!(Running::start(&[]).stop("INT"), 0);
}

#[test]
fn a_second_signal_ends_it_at_once_and_tells_so_by_the_exit_code() {
    let mut emulator = Running::start(&[]);
    // A client that says nothing after its hello is waited for half a second; it is in time for both signals, which
    // are there when the stopped process goes on.
    let port = emulator.ready_file()["grpcPort"].to_string();
    let mut silent = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    silent.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    silent.read_exact(&mut [0]).unwrap();
    for signal in ["STOP", "TERM", "INT", "CONT"] {
        emulator.signal(signal);
    }
    let code = emulator.ended();
    assert!(code == 130 || code == 143, "{code}");
    assert!(emulator.logs().contains("stopped at once by a second signal, SIG"), "{}", emulator.logs());
}

#[test]
fn flags_win_over_the_environment_which_wins_over_the_defaults() {
    let variables = [
        ("DTS_TASK_HUB_NAMES", "one, two"),
        ("DTS_USE_DYNAMIC_TASK_HUBS", "True"),
        ("DTS_GRPC_PORT", "0"),
        ("DTS_HTTP_PORT", "0"),
        ("DTS_DASHBOARD_PORT", "7"),
        ("DTS_EMULATOR_HOST", "0.0.0.0"),
        ("DTS_EMULATOR_LOG_FORMAT", "json"),
    ];
    let mut emulator = Running::start_as(&[], &variables);
    let ready = emulator.ready_file();
    assert_eq!(ready["taskHubs"], serde_json::json!(["one", "two"]));
    assert_eq!(ready["dynamicTaskHubs"], Value::Bool(true));
    assert_ne!((&ready["grpcPort"], &ready["httpPort"]), (&8080.into(), &8081.into()));
    assert!(emulator.banner.contains("nothing is served on port 7\n"), "{}", emulator.banner);
    // It listens everywhere, and names an address at which one finds it.
    assert_eq!(ready["endpoint"], format!("http://localhost:{}", ready["grpcPort"]));
    let text = ready["connectionString"].as_str().unwrap();
    assert!(text.starts_with(&format!("Endpoint={};", ready["endpoint"].as_str().unwrap())), "{text}");
    assert!(
        emulator.banner.contains(&format!("http://localhost:{}/healthz", ready["httpPort"])),
        "{}",
        emulator.banner
    );
    succeeded(&taskhub(&["healthcheck", "--host", "0.0.0.0", "--http-port", &ready["httpPort"].to_string()]));
    assert_eq!(emulator.stop("TERM"), 0);
    let logs = emulator.logs();
    assert!(logs.contains("listens on every address of this machine"), "{logs}");
    assert!(
        logs.contains("SIGTERM") && logs.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()),
        "{logs}"
    );

    let variables =
        [variables[0], variables[1], ("DTS_GRPC_PORT", "x"), variables[6], ("DTS_DASHBOARD_PORT", "7")];
    let flags = ["--task-hubs", "three", "--dynamic-task-hubs=false", "--log-format", "text"];
    let mut emulator = Running::start_with(&[&flags[..], &["--dashboard-port", "0"]].concat(), &variables);
    assert_eq!(emulator.ready_file()["taskHubs"], serde_json::json!(["three"]));
    assert_eq!(emulator.ready_file()["dynamicTaskHubs"], Value::Bool(false));
    assert!(emulator.banner.contains("Dashboard  none yet\n"), "{}", emulator.banner);
    assert_eq!(emulator.stop("TERM"), 0);
    assert!(serde_json::from_str::<Value>(emulator.logs().lines().next().unwrap()).is_err());
}

#[test]
fn an_empty_variable_counts_as_none_and_a_wrong_one_is_named() {
    let names = [
        "DTS_EMULATOR_HOST",
        "DTS_DASHBOARD_PORT",
        "DTS_TASK_HUB_NAMES",
        "DTS_USE_DYNAMIC_TASK_HUBS",
        "DTS_SERVICE_LIMITS",
        "DTS_EMULATOR_LOG_LEVEL",
        "DTS_EMULATOR_LOG_FORMAT",
        "DTS_READY_FILE",
        "DTS_WORKER_TIMEOUT",
        "DTS_UNATTENDED_AFTER",
        "DTS_MAX_STATE",
        "RUST_LOG",
    ];
    let emulator = Running::start_with(&[], &names.map(|name| (name, "")));
    assert_eq!(emulator.ready_file()["taskHubs"], serde_json::json!(["default"]));
    assert!(emulator.banner.contains("nothing is served on port 8082\n"), "{}", emulator.banner);

    for (name, value) in [
        ("DTS_GRPC_PORT", "x"),
        ("DTS_HTTP_PORT", "80800"),
        ("DTS_USE_DYNAMIC_TASK_HUBS", "maybe"),
        ("DTS_EMULATOR_LOG_LEVEL", "loud"),
        ("DTS_EMULATOR_LOG_FORMAT", "xml"),
        ("DTS_TASK_HUB_NAMES", "a=b"),
        ("DTS_WORKER_TIMEOUT", "soon"),
        ("DTS_MAX_WORKER_LOSSES", "0"),
        ("DTS_MAX_STATE", "some"),
        ("RUST_LOG", "a=b=c"),
    ] {
        let message = failed(&command(&["emulator"]).env(name, value).output().unwrap(), 2);
        assert!(message.contains(name) && message.contains(value), "{message}");
    }
}

#[test]
fn a_process_that_may_hold_nothing_says_so_to_who_starts_something() {
    let emulator = Running::start(&["--max-state", "0"]);
    let endpoint = emulator.ready_file()["endpoint"].as_str().unwrap().to_owned();
    let message = failed(&taskhub(&["run", "x", "--no-wait", "--endpoint", &endpoint]), 1);
    assert!(message.contains("--max-state"), "{message}");
}

#[test]
fn a_hub_that_is_named_twice_is_there_once_and_one_that_no_connection_string_carries_is_refused() {
    let emulator = Running::start(&["--task-hubs", "b,a,B"]);
    let ready = emulator.ready_file();
    assert_eq!(ready["taskHubs"], serde_json::json!(["b", "a"]));
    let text = ready["connectionString"].as_str().unwrap();
    assert!(text.contains(";TaskHub=b;"), "{text}");
    let message = failed(&taskhub(&["emulator", "--task-hubs", "fine,a;b"]), 2);
    assert!(message.contains("\"a;b\" has ';' in it"), "{message}");
}

#[test]
fn a_port_that_is_taken_is_named_with_a_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let message = failed(&taskhub(&["emulator", "--grpc-port", &port, "--http-port", "0"]), 3);
    assert!(
        message.contains(&format!("port {port} is in use")) && message.contains("--grpc-port 0"),
        "{message}"
    );
    let message = failed(&taskhub(&["emulator", "--grpc-port", "0", "--http-port", &port]), 3);
    assert!(
        message.contains(&format!("port {port} is in use")) && message.contains("--http-port 0"),
        "{message}"
    );
    assert!(!message.contains("taskhub emulator"), "{message}");
    let running = Running::start(&[]);
    let other = running.ready_file();
    for port in [&other["grpcPort"], &other["httpPort"]] {
        let message =
            failed(&taskhub(&["emulator", "--http-port", "0", "--grpc-port", &port.to_string()]), 3);
        assert!(message.contains("by another taskhub emulator"), "{message}");
    }
}

#[test]
fn wrong_flags_of_the_emulator_are_told_and_nothing_listens() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ready.json");
    let free = ["emulator", "--grpc-port", "0", "--http-port", "0", "--ready-file", file.to_str().unwrap()];
    let refused = |flag: &str, value: &str| {
        let output = taskhub(&[&free[..], &[flag, value]].concat());
        // What listens says where, and writes its file.
        assert_eq!(String::from_utf8_lossy(&output.stdout), "");
        assert!(!file.exists());
        failed(&output, 2)
    };
    let message = refused("--log-level", "loud");
    assert!(message.contains("'loud'") && message.contains("no such log level"), "{message}");
    let message = refused("--dashboard-port", "80800");
    assert!(message.contains("80800"), "{message}");
    let message = refused("--host", "no host");
    assert!(message.contains("it has no address") && message.contains("0.0.0.0"), "{message}");
    let message = refused("--log-format", "xml");
    assert!(message.contains("text, json"), "{message}");
}

#[test]
fn a_ready_file_that_cannot_be_written_ends_it_before_it_says_ready() {
    let output =
        taskhub(&["emulator", "--grpc-port", "0", "--http-port", "0", "--ready-file", "no/such/folder/file"]);
    let message = failed(&output, 1);
    assert!(message.contains("cannot write the ready file no/such/folder/file"), "{message}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}

#[test]
fn the_grpc_port_answers_a_browser_with_a_sentence() {
    let emulator = Running::start(&[]);
    let ready = emulator.ready_file();
    let mut stream = TcpStream::connect(format!("127.0.0.1:{}", ready["grpcPort"])).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let health = format!("http://localhost:{}/healthz", ready["httpPort"]);
    assert!(answer.contains("speaks gRPC over HTTP/2 without TLS.") && answer.contains(&health), "{answer}");
}
