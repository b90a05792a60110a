//! Decodes large messages on the runtime's blocking pool.
//!
//! A message of megabytes may hold a million small values, and decoding it takes seconds. An emulator has one thread, on
//! which every other call would wait meanwhile. So a call with a large message is polled once on a thread of the blocking
//! pool, which decodes the message and sends its command to the hub. Then the emulator's thread awaits the call.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tonic::Status;
use tonic::body::Body;

/// Messages above this many bytes are decoded on the pool. A smaller one is mostly decoded faster than a thread wakes.
pub(super) const LARGE: usize = 64 << 10;

type ResponseFuture = Pin<Box<dyn Future<Output = http::Response<Body>> + Send>>;

/// A call after its first poll.
enum FirstPoll {
    Done(http::Response<Body>),
    Pending(ResponseFuture),
}

/// Polls a call once on the pool, and awaits it here.
pub(super) async fn run(call: impl FnOnce() -> ResponseFuture + Send + 'static) -> http::Response<Body> {
    let begun = tokio::task::spawn_blocking(|| {
        let mut call = call();
        // The waker may do nothing: a pending call is polled again below.
        match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(response) => FirstPoll::Done(response),
            Poll::Pending => FirstPoll::Pending(call),
        }
    });
    match begun.await {
        Ok(FirstPoll::Done(response)) => response,
        Ok(FirstPoll::Pending(call)) => call.await,
        // The runtime is shutting down.
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
    async fn a_call_is_polled_first_on_another_thread_and_awaited_on_this_one() {
        let (sender, threads) = mpsc::channel();
        let (answer, answered) = tokio::sync::oneshot::channel();
        let call = move || -> ResponseFuture {
            Box::pin(async move {
                sender.send(here()).unwrap();
                answered.await.unwrap();
                sender.send(here()).unwrap();
                http::Response::new(Body::empty())
            })
        };
        tokio::join!(run(call), async {
            tokio::task::yield_now().await;
            answer.send(()).unwrap();
        });
        let (began, went_on) = (threads.recv().unwrap(), threads.recv().unwrap());
        assert_ne!(began, here());
        assert!(went_on == here() || went_on == began, "it may have been answered before it waited");
    }
}
