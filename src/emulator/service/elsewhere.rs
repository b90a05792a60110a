//! Reads large messages on another thread.
//!
//! A message of megabytes may hold a million small things, and reading it takes seconds. An emulator has one thread: every
//! other call would wait for as long. So the first step of such a call, which reads the message and hands what it says to
//! its hub, is done on a thread of the runtime's pool; the rest of it only waits and goes on where it would have been.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tonic::Status;
use tonic::body::Body;

/// From how many bytes on a message is read elsewhere. A smaller one is mostly read in less time than a change of threads
/// takes.
pub(super) const LARGE: usize = 64 << 10;

type Answering = Pin<Box<dyn Future<Output = http::Response<Body>> + Send>>;

/// What has become of a call.
enum Begun {
    Done(http::Response<Body>),
    Waits(Answering),
}

/// Begins a call on another thread, and waits for its answer here.
pub(super) async fn begin(call: impl FnOnce() -> Answering + Send + 'static) -> http::Response<Body> {
    let begun = tokio::task::spawn_blocking(|| {
        let mut call = call();
        // Where it waits it is polled once more below, with a waker that counts.
        match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(response) => Begun::Done(response),
            Poll::Pending => Begun::Waits(call),
        }
    });
    match begun.await {
        Ok(Begun::Done(response)) => response,
        Ok(Begun::Waits(call)) => call.await,
        // The runtime ends, and the emulator with it.
        Err(_) => Status::unavailable("the emulator is shutting down").into_http(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread::ThreadId;

    fn here() -> ThreadId {
        std::thread::current().id()
    }

    #[tokio::test]
    async fn a_call_begins_elsewhere_and_goes_on_here() {
        let (tell, told) = mpsc::channel();
        let (answer, answered) = tokio::sync::oneshot::channel();
        let call = move || -> Answering {
            Box::pin(async move {
                tell.send(here()).unwrap();
                answered.await.unwrap();
                tell.send(here()).unwrap();
                http::Response::new(Body::empty())
            })
        };
        tokio::join!(begin(call), async {
            tokio::task::yield_now().await;
            answer.send(()).unwrap();
        });
        let (began, went_on) = (told.recv().unwrap(), told.recv().unwrap());
        assert_ne!(began, here());
        assert!(went_on == here() || went_on == began, "it may have been answered before it waited");
    }
}
