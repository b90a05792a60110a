//! Keeps the ready file: what it replaces, what it leaves behind, and how long it is there.

use super::{Running, command, failed};
use pretty_assertions::assert_eq;
use std::path::Path;
use std::process::{Command, Stdio};

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// What an emulator complains of that cannot write its ready file there.
fn refused(path: &Path) -> String {
    let mut command = command(&["emulator", "--grpc-port", "0", "--http-port", "0", "--ready-file"]);
    let output = command.arg(path).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    failed(&output, 1)
}

#[test]
fn the_ready_file_is_gone_after_a_clean_stop_unless_another_emulator_has_written_its_own() {
    let mut emulator = Running::start(&[]);
    assert_eq!(names(emulator.folder.path()), ["logs", "ready.json"]);
    assert_eq!(emulator.stop("TERM"), 0);
    assert_eq!(names(emulator.folder.path()), ["logs"]);

    let mut emulator = Running::start(&[]);
    let file = emulator.folder.path().join("ready.json");
    std::fs::write(&file, "another's").unwrap();
    assert_eq!(emulator.stop("TERM"), 0);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "another's");
}

#[cfg(unix)]
#[test]
fn a_ready_file_takes_the_place_of_a_regular_file_alone() {
    use std::os::unix::fs::FileTypeExt as _;
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink("/dev/null", &link).unwrap();
    for path in [Path::new("/dev/null"), &link, folder.path()] {
        let message = refused(path);
        assert!(message.contains("no regular file") && message.contains(path.to_str().unwrap()), "{message}");
    }
    let null = std::fs::symlink_metadata("/dev/null").unwrap();
    assert!(null.file_type().is_char_device(), "{null:?}");
    assert_eq!(names(folder.path()), ["link"]);

    // A link to a file stays one.
    let (real, link) = (folder.path().join("real"), folder.path().join("to-real"));
    std::fs::write(&real, "old").unwrap();
    std::os::unix::fs::symlink("real", &link).unwrap();
    let mut command = command(&["emulator", "--grpc-port", "0", "--http-port", "0", "--ready-file"]);
    let mut child = command.arg(&link).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while std::fs::read_to_string(&real).unwrap() == "old" {
        assert_eq!(child.try_wait().unwrap(), None, "it ended");
        std::thread::yield_now();
    }
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(std::fs::read_to_string(&real).unwrap().contains("connectionString"));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[cfg(unix)]
#[test]
fn a_ready_file_that_finds_no_room_leaves_nothing_behind_and_what_was_there_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ready.json");
    std::fs::write(&file, "old").unwrap();
    // A process that may write no byte to a file is told so as one whose disk is full.
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_taskhub")]);
    shell.args(["emulator", "--grpc-port", "0", "--http-port", "0", "--ready-file"]).arg(&file);
    let output = shell.stdin(Stdio::null()).output().unwrap();
    let message = failed(&output, 1);
    assert!(message.contains("cannot write the ready file"), "{message}");
    assert_eq!(names(folder.path()), ["ready.json"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "old");
}
