//! Writes to standard output and standard error. A closed pipe is no error, and text from elsewhere steers no terminal.

use crate::error::CliError;
use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::mpsc;
use std::time::Duration;
use taskhub::report;

/// Longest wait for the last line to be written.
const LAST_LINE_TIMEOUT: Duration = Duration::from_secs(1);

/// Writes `text` to standard output. A closed pipe, as behind `| head`, is no error: the reader has what it wanted.
pub(crate) fn print(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(CliError::Run(format!("cannot write to standard output: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a payload and a newline: to a pipe or file unchanged, to a terminal without control characters.
pub(crate) fn print_data(text: &str) -> Result<(), CliError> {
    if std::io::stdout().is_terminal() {
        return print(&format!("{}\n", plain(text)));
    }
    print(&format!("{text}\n"))
}

/// Writes one line to standard error. An error is ignored: there is no other place to report it.
pub(crate) fn note(line: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Writes the last line to standard error, on a thread of its own: standard error may be a full pipe, and the process
/// must still end.
pub(crate) fn last_line(line: &str) {
    let (line, (done, written)) = (line.to_owned(), mpsc::channel());
    let writing = std::thread::Builder::new().spawn(move || {
        note(line);
        let _ = done.send(());
    });
    if writing.is_ok() {
        let _ = written.recv_timeout(LAST_LINE_TIMEOUT);
    }
}

/// A text without the control characters that would steer a terminal, line by line.
pub(crate) fn plain(text: &str) -> String {
    text.lines().map(report::one_line).collect::<Vec<_>>().join("\n")
}
