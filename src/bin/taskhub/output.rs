//! Writes to standard output and standard error, whoever reads there, and for as long as somebody does.

use crate::failure::Failure;
use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};
use taskhub::report;

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

/// A text of somebody else's as it may stand on a terminal: its lines, without the characters that steer one.
pub(crate) fn plain(text: &str) -> String {
    text.lines().map(report::one_line).collect::<Vec<_>>().join("\n")
}
