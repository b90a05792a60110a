//! A store that appends records to a file: each with its length before it, on a thread of its own.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use taskhub::emulator::store::{CommitStatus, Confirmation, Fault, Record, Records, Store};
use tokio::sync::mpsc;

/// Says how the thread that writes behaves.
#[derive(Clone)]
pub(crate) struct Writer {
    dies_after: usize,
    dead: mpsc::UnboundedSender<()>,
}

impl Writer {
    /// A thread that writes batch `dies_after` whole and is never heard of again: the process ended before an effect. What
    /// comes back is told when that happens.
    pub(crate) fn that_dies_after(dies_after: usize) -> (Self, mpsc::UnboundedReceiver<()>) {
        let (dead, died) = mpsc::unbounded_channel();
        (Self { dies_after, dead }, died)
    }

    fn run(self, path: &Path, batches: &std::sync::mpsc::Receiver<(Vec<u8>, Confirmation)>) {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let mut written = 0;
        let mut held = Vec::new();
        while let Ok((bytes, confirmation)) = batches.recv() {
            written += 1;
            let kept = file.as_ref().map_err(|error| Fault(error.to_string())).and_then(|mut file| {
                file.write_all(&bytes)?;
                Ok(file.sync_data()?)
            });
            match kept {
                Ok(()) if written == self.dies_after => {
                    // Held, not dropped: a process that ends says nothing.
                    held.push(confirmation);
                    let _ = self.dead.send(());
                }
                Ok(()) => confirmation.kept(),
                Err(fault) => confirmation.failed(fault),
            }
        }
    }
}

/// Records in one file, which one thread writes.
pub(crate) struct FileStore {
    path: PathBuf,
    writer: Sender<(Vec<u8>, Confirmation)>,
}

impl FileStore {
    pub(crate) fn open(path: &Path, writer: Writer) -> Self {
        let (sender, batches) = channel();
        let file = path.to_owned();
        std::thread::spawn(move || writer.run(&file, &batches));
        Self { path: path.to_owned(), writer: sender }
    }
}

impl Store for FileStore {
    fn commit(&mut self, batch: Vec<Record>) -> Result<CommitStatus, Fault> {
        let mut bytes = Vec::new();
        for record in batch {
            let length =
                u32::try_from(record.encoded_len()).map_err(|_| Fault("a record of 4 GiB".into()))?;
            bytes.extend(length.to_le_bytes());
            record.encode_to(&mut bytes);
        }
        let (confirmation, commit) = CommitStatus::later();
        self.writer.send((bytes, confirmation)).map_err(|_| Fault("the writer is gone".into()))?;
        Ok(commit)
    }

    fn load(&mut self) -> Option<Records> {
        let path = self.path.clone();
        // Opened when the first record is asked for, on a thread that may block.
        let mut file: Option<BufReader<File>> = None;
        Some(Box::new(std::iter::from_fn(move || {
            if file.is_none() {
                match File::open(&path) {
                    Ok(opened) => file = Some(BufReader::new(opened)),
                    Err(error) if error.kind() == ErrorKind::NotFound => return None,
                    Err(error) => return Some(Err(error.into())),
                }
            }
            read(file.as_mut()?).transpose()
        })))
    }
}

/// The next record; `None` at the end of the file. A process that dies while it writes leaves a part of a batch, which was
/// never said to be kept; a store for real use marks where a batch ends and leaves such a part out.
fn read(file: &mut BufReader<File>) -> Result<Option<Record>, Fault> {
    let mut length = [0; 4];
    match file.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
    file.read_exact(&mut bytes)?;
    Ok(Some(Record::decode(bytes.into())?))
}
