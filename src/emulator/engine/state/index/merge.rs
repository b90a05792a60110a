//! Merges sorted walks into one.

use std::iter::Peekable;

/// Several walks, each in rising order and without common items, as one in rising order.
pub(super) struct Merged<I: Iterator> {
    walks: Vec<Peekable<I>>,
}

impl<I: Iterator> Merged<I> {
    pub(super) fn of(walks: impl IntoIterator<Item = I>) -> Self {
        Self { walks: walks.into_iter().map(Iterator::peekable).collect() }
    }
}

impl<I: Iterator<Item: Ord>> Iterator for Merged<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        // Never more than one walk for each status: looking at every head costs less than a heap would.
        let heads = self.walks.iter_mut().enumerate();
        let heads = heads.filter_map(|(at, walk)| walk.peek().map(|head| (head, at)));
        let (_, least) = heads.min()?;
        self.walks[least].next()
    }
}
