//! Keeps values up to a number; the least recently used is dropped first (an LRU cache).

use std::collections::BTreeMap;

#[expect(clippy::disallowed_types, reason = "looked up by key only; its order is never seen")]
type ByKey<T> = std::collections::HashMap<String, T>;

/// Values by instance id. One thread owns it.
pub(super) struct LruCache<T> {
    capacity: usize,
    /// Counts uses; a later use has a larger number.
    clock: u64,
    kept: ByKey<(u64, T)>,
    by_use: BTreeMap<u64, String>,
}

impl<T> LruCache<T> {
    /// Keeps at most `capacity` values; none when it is 0.
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, clock: 0, kept: ByKey::default(), by_use: BTreeMap::new() }
    }

    /// Takes a value out.
    pub(super) fn take(&mut self, id: &str) -> Option<T> {
        let (used, value) = self.kept.remove(id)?;
        self.by_use.remove(&used);
        Some(value)
    }

    /// Puts a value in, and drops the least recently used one where there are too many.
    pub(super) fn put(&mut self, id: String, value: T) {
        if self.capacity == 0 {
            return;
        }
        self.clock += 1;
        if let Some((used, _)) = self.kept.insert(id.clone(), (self.clock, value)) {
            self.by_use.remove(&used);
        }
        self.by_use.insert(self.clock, id);
        while self.kept.len() > self.capacity {
            let Some((_, oldest)) = self.by_use.pop_first() else { return };
            self.kept.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut cache = LruCache::new(2);
        cache.put("a".into(), 1);
        cache.put("b".into(), 2);
        let a = cache.take("a").unwrap();
        cache.put("a".into(), a);
        cache.put("c".into(), 3);
        assert_eq!((cache.take("a"), cache.take("b"), cache.take("c")), (Some(1), None, Some(3)));
        assert_eq!((cache.kept.len(), cache.by_use.len()), (0, 0));
    }

    #[test]
    fn nothing_is_kept_where_there_is_no_room() {
        let mut cache = LruCache::new(0);
        cache.put("a".into(), 1);
        assert_eq!(cache.take("a"), None);
    }

    #[test]
    fn a_value_put_twice_is_kept_once() {
        let mut cache = LruCache::new(2);
        cache.put("a".into(), 1);
        cache.put("a".into(), 2);
        cache.put("b".into(), 3);
        assert_eq!((cache.take("a"), cache.take("b")), (Some(2), Some(3)));
    }
}
