//! Owns a hub: decides, stores, then acts.
