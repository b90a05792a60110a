//! Speaks gRPC: parses, asks, renders.
