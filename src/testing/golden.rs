//! Compares what a test made with a file that was agreed on, and rewrites the file when it is told to.
//!
//! With `GOLDEN=write` in the environment every comparison writes its file instead; what changed then shows in the
//! diff of the repository.

use crate::model::History;
use crate::report;
use std::fmt;
use std::path::{Path, PathBuf};

/// How many equal lines are shown around the first that differs.
const AROUND: usize = 3;

/// Why a text is not what its file says.
#[derive(Debug)]
#[non_exhaustive]
pub enum Differs {
    /// The file says something else.
    Content {
        /// The file.
        file: PathBuf,
        /// The first line that differs, counted from 1.
        line: usize,
        /// That line and what is around it, in the file and in the text.
        shown: String,
    },
    /// There is no such file yet, or it cannot be read or written.
    File {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

impl fmt::Display for Differs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hint = "if the new one is right, run the test again with GOLDEN=write";
        match self {
            Self::Content { file, line, shown } => {
                write!(f, "{} differs from line {line} on; {hint}\n{shown}", file.display())
            }
            Self::File { file, source } => write!(f, "{}: {source}; {hint}", file.display()),
        }
    }
}

impl std::error::Error for Differs {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Content { .. } => None,
            Self::File { source, .. } => Some(source),
        }
    }
}

/// Compares a history in its [normal form](report::normal) with a file, whose path is relative to the package.
///
/// # Errors
///
/// [`Differs`] shows the first difference, or says that there is no file yet.
pub fn history(file: impl AsRef<Path>, history: &History) -> Result<(), Differs> {
    text(file, &report::normal(history))
}

/// Compares a text with a file, whose path is relative to the package.
///
/// # Errors
///
/// As [`history`].
pub fn text(file: impl AsRef<Path>, text: &str) -> Result<(), Differs> {
    let writes = std::env::var_os("GOLDEN").is_some_and(|wish| wish == "write");
    compare(&placed(file.as_ref()), text, writes)
}

/// Tests run in the package's folder under cargo, and anywhere without it.
fn placed(file: &Path) -> PathBuf {
    match std::env::var_os("CARGO_MANIFEST_DIR") {
        Some(package) => Path::new(&package).join(file),
        None => file.to_owned(),
    }
}

fn compare(file: &Path, text: &str, writes: bool) -> Result<(), Differs> {
    let failed = |source| Differs::File { file: file.to_owned(), source };
    if writes {
        return std::fs::write(file, text).map_err(failed);
    }
    let agreed = std::fs::read_to_string(file).map_err(failed)?;
    // A checkout may have changed the ends of lines.
    let (agreed, text): (Vec<&str>, Vec<&str>) = (agreed.lines().collect(), text.lines().collect());
    let longest = agreed.len().max(text.len());
    let Some(first) = (0..longest).find(|&line| agreed.get(line) != text.get(line)) else { return Ok(()) };
    let mut shown = String::new();
    for line in first.saturating_sub(AROUND)..(first + AROUND + 1).min(longest) {
        match (agreed.get(line), text.get(line)) {
            (Some(both), Some(same)) if both == same => shown.extend(["    ", both, "\n"]),
            (then, now) => {
                shown.extend(then.into_iter().flat_map(|then| ["  - ", then, "\n"]));
                shown.extend(now.into_iter().flat_map(|now| ["  + ", now, "\n"]));
            }
        }
    }
    Err(Differs::Content { file: file.to_owned(), line: first + 1, shown })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_compares_equal_and_anything_else_shows_where_it_differs() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("golden.txt");
        let missing = compare(&file, "a\n", false).unwrap_err().to_string();
        assert!(missing.ends_with("run the test again with GOLDEN=write"), "{missing}");

        compare(&file, "a\nb\nc\n", true).unwrap();
        compare(&file, "a\nb\nc\n", false).unwrap();
        compare(&file, "a\r\nb\r\nc\r\n", false).unwrap();
        let Err(Differs::Content { line, shown, .. }) = compare(&file, "a\nx\nc\nd\n", false) else {
            panic!("it differs")
        };
        assert_eq!((line, shown.as_str()), (2, "    a\n  - b\n  + x\n    c\n  + d\n"));
    }
}
