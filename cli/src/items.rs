//! Reads the demo's work items, and says exactly which one is wrong.

use crate::arguments::DemoFlags;
use crate::error::CliError;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Why there are no work items.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ItemsError {
    /// A part of a list is not a number.
    #[error("item {position} of --items is not a whole number: {text:?}; write them as 3,5,8")]
    Number { position: usize, text: String },
    /// The file cannot be read.
    #[error("cannot read the work items from {file}: {source}")]
    Unreadable { file: ItemsSource, source: std::io::Error },
    /// The file holds something that is not JSON.
    #[error("{file} is not JSON: {source}; write a list of whole numbers such as [3, 5, 8]")]
    NotJson { file: ItemsSource, source: serde_json::Error },
    /// The file holds JSON, and it is not a list.
    #[error("{file} holds {found}, not a list; write a list of whole numbers such as [3, 5, 8]")]
    NotAList { file: ItemsSource, found: &'static str },
    /// A part of the list in the file is not a number.
    #[error("item {position} of {file} is not a whole number that fits 64 bits: {text}")]
    Item { file: ItemsSource, position: usize, text: String },
}

impl From<ItemsError> for CliError {
    fn from(error: ItemsError) -> Self {
        Self::Usage(error.to_string())
    }
}

/// Where items are read from, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ItemsSource {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl std::fmt::Display for ItemsSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The work items that the flags ask for; 1 to 10 if they ask for none.
pub(crate) fn items(flags: &DemoFlags) -> Result<Vec<i64>, ItemsError> {
    match (&flags.items, &flags.items_file, flags.count) {
        (Some(list), _, _) => from_list(list),
        (None, Some(file), _) => from_file(file),
        (None, None, count) => Ok((1..=count.map_or(10, |count| i64::from(count.get()))).collect()),
    }
}

fn from_list(list: &str) -> Result<Vec<i64>, ItemsError> {
    let parts = list.split(',').map(str::trim).enumerate();
    // An empty text is an empty list, and a fan-out over no items is valid.
    let parts = parts.filter(|_| !list.trim().is_empty());
    parts
        .map(|(at, text)| {
            text.parse().map_err(|_| ItemsError::Number { position: at + 1, text: text.to_owned() })
        })
        .collect()
}

fn from_file(path: &Path) -> Result<Vec<i64>, ItemsError> {
    let mut text = String::new();
    let (file, read) = if path == Path::new("-") {
        (ItemsSource::Stdin, std::io::stdin().read_to_string(&mut text))
    } else {
        let read = std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text));
        (ItemsSource::File(path.to_owned()), read)
    };
    match read {
        Ok(_) => from_json(&text, &file),
        Err(source) => Err(ItemsError::Unreadable { file, source }),
    }
}

fn from_json(text: &str, file: &ItemsSource) -> Result<Vec<i64>, ItemsError> {
    let value =
        serde_json::from_str(text).map_err(|source| ItemsError::NotJson { file: file.clone(), source })?;
    let found = match value {
        serde_json::Value::Array(values) => {
            let numbers = values.iter().enumerate().map(|(at, value)| {
                value.as_i64().ok_or_else(|| ItemsError::Item {
                    file: file.clone(),
                    position: at + 1,
                    text: value.to_string(),
                })
            });
            return numbers.collect();
        }
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "a boolean",
        serde_json::Value::Number(_) => "a number",
        serde_json::Value::String(_) => "a string",
        serde_json::Value::Object(_) => "an object",
    };
    Err(ItemsError::NotAList { file: file.clone(), found })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_numbers_with_commas_between_them() {
        assert_eq!(from_list("3,5, 8").unwrap(), [3, 5, 8]);
        assert_eq!(from_list("-1").unwrap(), [-1]);
        assert!(from_list("").unwrap().is_empty());
    }

    #[test]
    fn the_item_that_is_wrong_is_named_by_its_place() {
        let message = from_list("3,x,8").unwrap_err().to_string();
        assert_eq!(message, "item 2 of --items is not a whole number: \"x\"; write them as 3,5,8");
        let message = from_json("[1, 2.5]", &ItemsSource::Stdin).unwrap_err().to_string();
        assert_eq!(message, "item 2 of standard input is not a whole number that fits 64 bits: 2.5");
    }

    #[test]
    fn a_file_that_is_not_a_list_says_what_it_is() {
        let message = from_json("{}", &ItemsSource::File("a.json".into())).unwrap_err().to_string();
        assert_eq!(
            message,
            "a.json holds an object, not a list; write a list of whole numbers such as [3, 5, 8]"
        );
        assert!(matches!(from_json("[1,", &ItemsSource::Stdin), Err(ItemsError::NotJson { .. })));
    }
}
