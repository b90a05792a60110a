//! Lets two threads drive one runtime, one at a time: a turn runs where the connection is served, and a turn that takes
//! long does not keep the connection waiting.
//!
//! To hand a turn to another thread and its answer back costs two wakes, which is most of what a short turn costs.
//! So the thread that runs turns also drives the runtime, and leaves it for each turn. A second thread stands by:
//! when a turn takes long, or is expected to, it drives until the first one is back.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

/// After how long an absence counts as long, at the most twice: the second thread looks so often while the first one
/// comes and goes.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// After how many looks in vain the second thread sleeps until it is called.
const LOOKS: u32 = 50;

/// Who drives a runtime.
pub(super) struct Baton {
    runtime: Weak<Runtime>,
    state: Mutex<State>,
    changed: Condvar,
    /// The first thread is back, or all is over: whoever stands in is to stop.
    back: Notify,
    /// All is over: nobody is to wait for anything.
    over: Notify,
}

struct State {
    first: First,
    /// How often the first thread has left.
    times: u64,
    second: Second,
    /// How many threads are inside the runtime beside the second one.
    inside: usize,
    over: bool,
}

/// What the thread that runs turns does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum First {
    Driving,
    /// It runs a turn, and will be back soon.
    Away,
    /// It runs a turn, and somebody is to drive meanwhile.
    Calling,
}

/// What the thread that stands by does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Second {
    Driving,
    /// It looks by itself whether it is needed.
    Looking,
    /// It has to be woken.
    Asleep,
}

/// Ends all driving when it is dropped, however that comes.
pub(super) struct Over(pub(super) Arc<Baton>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Baton {
    /// Nobody drives yet: the second thread does as soon as it stands by, until there is a first one.
    pub(super) fn new(runtime: &Arc<Runtime>) -> Self {
        let state =
            State { first: First::Calling, times: 0, second: Second::Looking, inside: 0, over: false };
        Self {
            runtime: Arc::downgrade(runtime),
            state: Mutex::new(state),
            changed: Condvar::new(),
            back: Notify::new(),
            over: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first thread drives until `done`, and is away from then on. False when all is over.
    pub(super) fn drive(&self, done: impl Future<Output = ()>) -> bool {
        let mut state = self.lock();
        if state.over {
            return false;
        }
        let Some(runtime) = self.runtime.upgrade() else { return false };
        state.first = First::Driving;
        state.inside += 1;
        if state.second == Second::Driving {
            self.back.notify_one();
        }
        // Made while nobody can end it: it hears of an end from now on.
        let over = self.over.notified();
        drop(state);
        runtime.block_on(async {
            tokio::select! {
                () = done => {}
                () = over => {}
            }
        });
        drop(runtime);
        let mut state = self.lock();
        state.inside -= 1;
        state.first = First::Away;
        state.times += 1;
        if state.over || state.second == Second::Asleep {
            self.changed.notify_all();
        }
        !state.over
    }

    /// The first thread expects to be away for long.
    pub(super) fn call(&self) {
        let mut state = self.lock();
        if state.first == First::Away {
            state.first = First::Calling;
            drop(state);
            self.changed.notify_all();
        }
    }

    fn end(&self) {
        self.lock().over = true;
        self.changed.notify_all();
        self.back.notify_one();
        self.over.notify_waiters();
    }

    /// The second thread stands by until all is over, then takes the runtime apart.
    pub(super) fn stand_by(&self, mut runtime: Arc<Runtime>) {
        let mut seen = None;
        let mut in_vain = 0;
        let mut state = self.lock();
        while !state.over {
            let as_before = seen == Some(state.times);
            let needed = match state.first {
                First::Driving => false,
                First::Away => as_before,
                First::Calling => true,
            };
            if needed {
                state.second = Second::Driving;
                drop(state);
                runtime.block_on(self.back.notified());
                state = self.lock();
                state.second = Second::Looking;
                (seen, in_vain) = (None, 0);
                continue;
            }
            in_vain = if as_before { in_vain + 1 } else { 0 };
            seen = Some(state.times);
            state = if in_vain < LOOKS {
                self.changed.wait_timeout(state, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner).0
            } else {
                in_vain = 0;
                state.second = Second::Asleep;
                let mut state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.second = Second::Looking;
                state
            };
        }
        loop {
            while state.inside > 0 {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            match Arc::try_unwrap(runtime) {
                // Blocking activities that do not end would otherwise keep us.
                Ok(runtime) => return runtime.shutdown_background(),
                Err(shared) => runtime = shared,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread::{self, JoinHandle};
    use tokio::sync::oneshot;

    /// A runtime, who drives it, and the second thread.
    fn staffed() -> (Arc<Baton>, tokio::runtime::Handle, JoinHandle<()>) {
        let runtime = Arc::new(tokio::runtime::Builder::new_current_thread().build().unwrap());
        let baton = Arc::new(Baton::new(&runtime));
        let handle = runtime.handle().clone();
        let second = Arc::clone(&baton);
        (baton, handle, thread::spawn(move || second.stand_by(runtime)))
    }

    /// Says which thread runs it.
    fn who(handle: &tokio::runtime::Handle) -> mpsc::Receiver<thread::ThreadId> {
        let (said, heard) = mpsc::channel();
        handle.spawn(async move { said.send(thread::current().id()) });
        heard
    }

    #[test]
    fn the_second_thread_drives_until_there_is_a_first_and_whenever_it_is_away_for_long() {
        let (baton, handle, second) = staffed();
        assert_eq!(who(&handle).recv(), Ok(second.thread().id()));

        let (done, until) = oneshot::channel::<()>();
        let here = thread::current().id();
        let ran = who(&handle);
        handle.spawn(async move { drop(done) });
        assert!(baton.drive(async { drop(until.await) }));
        // Either had it while the one came and the other went.
        assert!([here, second.thread().id()].contains(&ran.recv().unwrap()));

        // Nobody calls: the second one finds that the first one stays away.
        assert_eq!(who(&handle).recv(), Ok(second.thread().id()));
        drop(Over(baton));
        second.join().unwrap();
    }

    #[test]
    fn one_that_is_called_stands_in_at_once() {
        let (baton, handle, second) = staffed();
        assert!(baton.drive(std::future::ready(())));
        baton.call();
        assert_eq!(who(&handle).recv(), Ok(second.thread().id()));
        drop(Over(baton));
        second.join().unwrap();
    }

    #[test]
    fn the_end_reaches_whoever_drives_and_nobody_drives_after_it() {
        let (baton, handle, second) = staffed();
        let over = Over(Arc::clone(&baton));
        handle.spawn(async move { drop(over) });
        // Before or after the end, it does not drive for ever.
        baton.drive(std::future::pending());
        second.join().unwrap();
        assert!(!baton.drive(std::future::pending()));
    }
}
