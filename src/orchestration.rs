//! Fans work out to activities and gathers what comes back: the sample.
