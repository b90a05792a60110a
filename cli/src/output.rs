//! Writes to standard output and standard error, whoever reads there, and for as long as somebody does.

use crate::failure::Failure;
use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::mpsc;
use std::time::Duration;
use taskhub::report;

/// Longest wait for the last line to be written.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Writes `text` to standard output. That nobody reads any more, as behind `| head`, is no failure: whoever did has
/// seen what they wanted.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::Run(format!("cannot write to standard output: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes somebody else's text and a line's end: to a program as it stands, to a terminal without what steers one.
pub(crate) fn print_data(text: &str) -> Result<(), Failure> {
    if std::io::stdout().is_terminal() {
        return print(&format!("{}\n", plain(text)));
    }
    print(&format!("{text}\n"))
}

/// Writes one line to standard error; where that is closed, nobody is to be told.
pub(crate) fn note(line: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Writes the last line to standard error. The process ends soon whether somebody reads there or not.
pub(crate) fn last_word(line: &str) {
    let (line, (done, said)) = (line.to_owned(), mpsc::channel());
    let saying = std::thread::Builder::new().spawn(move || {
        note(line);
        let _ = done.send(());
    });
    if saying.is_ok() {
        let _ = said.recv_timeout(LAST_WORD);
    }
}

/// A text of somebody else's as it may stand on a terminal: its lines, without the characters that steer one.
pub(crate) fn plain(text: &str) -> String {
    text.lines().map(report::one_line).collect::<Vec<_>>().join("\n")
}
