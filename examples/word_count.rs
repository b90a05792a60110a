//! Counts the words of the text files in a folder: fan out over the files, fan in what was counted.
//!
//! ```sh
//! cargo run --example word_count -- some/folder
//! ```

use futures::future::join_all;
use std::collections::BTreeMap;
use std::path::PathBuf;
use taskhub::emulator::Emulator;
use taskhub::sdk::{Client, Failure, OrchestrationContext, Registry, Worker};

type Words = BTreeMap<String, u64>;

fn list(folder: PathBuf) -> Result<Vec<PathBuf>, Failure> {
    let files = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    let mut files: Vec<_> = files.into_iter().map(|file| file.path()).filter(|path| path.is_file()).collect();
    files.sort();
    Ok(files)
}

fn count(file: PathBuf) -> Result<Words, Failure> {
    let mut words = Words::new();
    for word in std::fs::read_to_string(file)?.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty())
    {
        *words.entry(word.to_lowercase()).or_default() += 1;
    }
    Ok(words)
}

async fn word_count(ctx: OrchestrationContext, folder: PathBuf) -> Result<(Words, Vec<String>), Failure> {
    let files = ctx.call(list, folder).await?;
    let counts: Vec<_> = files.iter().map(|file| ctx.call(count, file.clone())).collect();
    let (mut total, mut unread) = (Words::new(), Vec::new());
    for (file, counted) in files.iter().zip(join_all(counts).await) {
        match counted {
            Ok(words) => words.into_iter().for_each(|(word, n)| *total.entry(word).or_default() += n),
            Err(error) => unread.push(format!("{}: {error}", file.display())),
        }
    }
    Ok((total, unread))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder =
        std::env::args().nth(1).ok_or("say which folder: cargo run --example word_count -- FOLDER")?;
    let emulator = Emulator::start().await?;
    let client = Client::connect(&emulator.endpoint()).await?;
    let registry = Registry::new().orchestration(word_count).blocking_activity(list).blocking_activity(count);
    let worker = Worker::new(&client, registry).start()?;
    let (words, unread) = client.start(word_count, folder.into()).await?.result().await?;
    worker.stop().await;
    println!("not counted: {unread:?}");
    let mut words: Vec<_> = words.into_iter().collect();
    words.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    words.iter().take(10).for_each(|(word, n)| println!("{n:>8}  {word}"));
    Ok(())
}
