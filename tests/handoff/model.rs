//! The primitives of the handoff as loom sees them, and a model of tokio's current-thread runtime: one thread at a time runs
//! its tasks, and each thread that blocks on a future polls it when it is woken.
#![expect(
    clippy::unwrap_used,
    clippy::unnecessary_wraps,
    clippy::unused_self,
    reason = "the primitives look like the standard library's, and nothing poisons them"
)]

use loom::sync::{Condvar as LoomCondvar, Mutex as LoomMutex, MutexGuard as LoomGuard};
use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::pin::{Pin, pin};
use std::sync::{Arc, LockResult};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

pub(crate) struct Mutex<T>(LoomMutex<T>);

pub(crate) struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    guard: LoomGuard<'a, T>,
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(LoomMutex::new(value))
    }

    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        Ok(MutexGuard { mutex: self, guard: self.0.lock().unwrap() })
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

pub(crate) struct Condvar(LoomCondvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(LoomCondvar::new())
    }

    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        let MutexGuard { mutex, guard } = guard;
        Ok(MutexGuard { mutex, guard: self.0.wait(guard).unwrap() })
    }

    /// Ends at any time: other threads may take the lock first, or none.
    pub(crate) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        _limit: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, ())> {
        let mutex = guard.mutex;
        drop(guard);
        Ok((mutex.lock().unwrap(), ()))
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// A flag that a thread can wait for.
pub(crate) struct Flag {
    set: LoomMutex<bool>,
    changed: LoomCondvar,
}

impl Flag {
    pub(crate) fn new() -> Self {
        Self { set: LoomMutex::new(false), changed: LoomCondvar::new() }
    }

    pub(crate) fn set(&self) {
        *self.set.lock().unwrap() = true;
        self.changed.notify_all();
    }

    pub(crate) fn wait(&self) {
        let mut set = self.set.lock().unwrap();
        while !*set {
            set = self.changed.wait(set).unwrap();
        }
    }
}

/// tokio's `Notify` for one waiter at a time: it keeps one permit, and `notify_waiters` reaches every future made before.
pub(crate) struct Notify(LoomMutex<Notified>);

#[derive(Default)]
struct Notified {
    permit: bool,
    generation: usize,
    wakers: Vec<Waker>,
}

impl Notify {
    pub(crate) fn new() -> Self {
        Self(LoomMutex::new(Notified::default()))
    }

    pub(crate) fn notify_one(&self) {
        self.wake(|state| state.permit = true);
    }

    pub(crate) fn notify_waiters(&self) {
        self.wake(|state| state.generation += 1);
    }

    fn wake(&self, change: impl FnOnce(&mut Notified)) {
        let mut state = self.0.lock().unwrap();
        change(&mut state);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn notified(&self) -> Waiting<'_> {
        let made = self.0.lock().unwrap().generation;
        Waiting { notify: self, made }
    }
}

pub(crate) struct Waiting<'a> {
    notify: &'a Notify,
    made: usize,
}

impl Future for Waiting<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.notify.0.lock().unwrap();
        if state.generation != self.made || std::mem::take(&mut state.permit) {
            return Poll::Ready(());
        }
        state.wakers.push(cx.waker().clone());
        Poll::Pending
    }
}

type Task = Box<dyn FnOnce() + Send>;

struct Shared {
    state: LoomMutex<RuntimeState>,
    changed: LoomCondvar,
}

#[derive(Default)]
struct RuntimeState {
    driven: bool,
    shut_down: bool,
    tasks: VecDeque<Task>,
    /// Whether each call of `block_on` was woken, in the order of the calls.
    woken: Vec<bool>,
}

pub(crate) struct Runtime(Arc<Shared>);

/// Spawns tasks from outside of the runtime.
#[derive(Clone)]
pub(crate) struct RuntimeTasks(Arc<Shared>);

struct Caller {
    shared: Arc<Shared>,
    number: usize,
}

impl Wake for Caller {
    fn wake(self: Arc<Self>) {
        self.shared.state.lock().unwrap().woken[self.number] = true;
        self.shared.changed.notify_all();
    }
}

impl Runtime {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared { state: LoomMutex::new(RuntimeState::default()), changed: LoomCondvar::new() }))
    }

    pub(crate) fn tasks(&self) -> RuntimeTasks {
        RuntimeTasks(Arc::clone(&self.0))
    }

    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let mut state = self.0.state.lock().unwrap();
        let number = state.woken.len();
        state.woken.push(true);
        let waker = Waker::from(Arc::new(Caller { shared: Arc::clone(&self.0), number }));
        let mut driving = false;
        loop {
            if std::mem::take(&mut state.woken[number]) {
                drop(state);
                let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
                state = self.0.state.lock().unwrap();
                if let Poll::Ready(output) = polled {
                    if driving {
                        state.driven = false;
                        self.0.changed.notify_all();
                    }
                    return output;
                }
                continue;
            }
            if !state.driven {
                (state.driven, driving) = (true, true);
            }
            let task = if driving { state.tasks.pop_front() } else { None };
            state = if let Some(task) = task {
                drop(state);
                task();
                self.0.state.lock().unwrap()
            } else {
                self.0.changed.wait(state).unwrap()
            };
        }
    }

    pub(crate) fn shutdown_background(self) {
        let mut state = self.0.state.lock().unwrap();
        assert!(!state.driven, "no thread is inside a runtime that is shut down");
        state.shut_down = true;
        let tasks = std::mem::take(&mut state.tasks);
        drop(state);
        drop(tasks);
    }
}

impl RuntimeTasks {
    pub(crate) fn spawn(&self, task: impl FnOnce() + Send + 'static) {
        let mut state = self.0.state.lock().unwrap();
        if !state.shut_down {
            state.tasks.push_back(Box::new(task));
        }
        drop(state);
        self.0.changed.notify_all();
    }

    /// Spawns a task that comes again until it says that it is done.
    pub(crate) fn spawn_until(&self, task: impl Fn() -> bool + Send + 'static) {
        let tasks = self.clone();
        self.spawn(move || {
            if !task() {
                // Lets the other thread go on: loom would otherwise run this task for ever.
                loom::thread::yield_now();
                tasks.spawn_until(task);
            }
        });
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        self.0.state.lock().unwrap().shut_down
    }
}
