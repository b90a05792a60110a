//! Bounds how long files are.

use super::{SOURCES, nothing, source_files, source_of_crates};
use crate::source::read;
use std::path::PathBuf;

/// The most lines of a file of a crate, and of any other.
const LONGEST: (usize, usize) = (450, 550);

/// Files that are longer, to be divided.
const LONGER: &[&str] =
    &["src/emulator/engine/command.rs", "src/sdk/worker/lane.rs", "tests/properties/world.rs"];

/// The most lines of the file in the middle, where the files of all crates stand in the order of their length.
const MEDIAN: usize = 130;

fn lengths(files: Vec<PathBuf>) -> Vec<(usize, PathBuf)> {
    let mut lengths: Vec<_> = files.into_iter().map(|file| (read(&file).lines().count(), file)).collect();
    lengths.sort();
    lengths
}

#[test]
fn no_file_is_longer_than_450_lines_in_a_crate_or_550_elsewhere() {
    let crates = source_of_crates();
    let long = lengths(source_files(SOURCES)).into_iter().filter_map(|(lines, file)| {
        let longest = if crates.contains(&file) { LONGEST.0 } else { LONGEST.1 };
        let listed = LONGER.iter().any(|name| file.ends_with(name));
        (lines > longest && !listed).then(|| format!("{}: {lines} lines", file.display()))
    });
    nothing(long, "divide these by the kind of thing that is decided");
}

#[test]
fn the_file_in_the_middle_has_few_lines() {
    let lengths = lengths(source_of_crates());
    let (lines, file) = &lengths[lengths.len() / 2];
    assert!(*lines <= MEDIAN, "the median of {} files is {}: {lines} lines", lengths.len(), file.display());
}
