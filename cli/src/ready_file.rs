//! Writes the file by which a script finds the emulator, and removes it when the emulator stops.

use std::fs::{self, OpenOptions};
use std::io::{self, Error, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// A file that says where the emulator listens. Dropping this removes it.
#[derive(Debug)]
pub(crate) struct ReadyFile {
    path: PathBuf,
    text: String,
}

impl ReadyFile {
    /// Writes the file atomically: it is whole or absent. It replaces a regular file and nothing else.
    pub(crate) fn write(path: &Path, text: String) -> io::Result<Self> {
        // A link is followed, so that it still is one afterwards.
        let path = match fs::canonicalize(path) {
            Ok(real) => real,
            Err(error) if error.kind() == ErrorKind::NotFound => path.to_owned(),
            Err(error) => return Err(error),
        };
        match fs::symlink_metadata(&path) {
            Ok(there) if !there.is_file() => {
                return Err(Error::other("the path is no regular file; name a file that may be replaced"));
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let beside = beside(&path)?;
        let written = write_new(&beside, &text).and_then(|()| fs::rename(&beside, &path));
        if let Err(error) = written {
            // As on a full disk: a partial file is of no use.
            let _ = fs::remove_file(&beside);
            return Err(error);
        }
        Ok(Self { path, text })
    }
}

/// The file that is renamed to `path` once it is whole: in the same folder, because only there that is one step.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| Error::other("it has no file name"))?;
    let mut beside = name.to_owned();
    beside.push(format!(".{}", std::process::id()));
    Ok(path.with_file_name(beside))
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let create = || OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = match create() {
        // In a container the process id is the same every time: an emulator that was killed may have left its file.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            create()?
        }
        created => created?,
    };
    file.write_all(text.as_bytes())
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        // Another emulator may have written its own file there meanwhile.
        if fs::read_to_string(&self.path).is_ok_and(|text| text == self.text) {
            let _ = fs::remove_file(&self.path);
        }
    }
}
