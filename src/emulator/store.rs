//! Keeps records, a batch at a time.
