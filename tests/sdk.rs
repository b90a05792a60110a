//! Tells the stories of the client and the worker.

#[path = "sdk/connection.rs"]
mod connection;
#[path = "sdk/identity.rs"]
mod identity;
#[path = "sdk/scheduler.rs"]
mod scheduler;
#[path = "sdk/together.rs"]
mod together;
#[path = "sdk/worker.rs"]
mod worker;
