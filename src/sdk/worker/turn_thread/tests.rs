//! Tests of the turn thread.

use super::*;
use crate::clock::ManualClock;
use crate::model::Timestamp;
use crate::sdk::worker::handoff::Handoff;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;

/// Says its number, or waits until it is let go.
enum Say {
    Number(u32),
    Stuck(u32, mpsc::Sender<()>, mpsc::Receiver<()>),
    /// An activity with a number: it need not yield, and may leave.
    Activity(u32),
    /// An activity that waits until it is let go.
    Blocked(u32, mpsc::Sender<()>, mpsc::Receiver<()>),
}

#[derive(Debug, PartialEq)]
struct Number {
    number: u32,
    must_yield: bool,
}

impl JobHandle for Number {
    type Subject = u32;

    fn subject(&self) -> Option<u32> {
        self.must_yield.then_some(self.number)
    }

    fn must_yield(&self) -> bool {
        self.must_yield
    }
}

impl Say {
    fn number(&self) -> u32 {
        match self {
            Self::Number(number)
            | Self::Activity(number)
            | Self::Stuck(number, ..)
            | Self::Blocked(number, ..) => *number,
        }
    }
}

impl Job for Say {
    type Handle = Number;
    type Result = u32;

    fn handle(&mut self) -> Number {
        let must_yield = matches!(self, Self::Number(_) | Self::Stuck(..));
        Number { number: self.number(), must_yield }
    }

    fn is_long(&self) -> bool {
        false
    }

    fn may_leave(&self) -> bool {
        matches!(self, Self::Activity(_))
    }
}

const LIMITS: TurnLimits =
    TurnLimits { slow: Some(Duration::from_secs(1)), stuck: Some(Duration::from_secs(10)) };

struct Tried {
    clock: Arc<ManualClock>,
    turn_thread: TurnThread<Say>,
    heard: mpsc::Receiver<u32>,
}

impl Tried {
    fn with(spare: usize) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
        let (said, heard) = mpsc::channel();
        let work = || {
            Box::new(|job: Say, _| {
                let number = job.number();
                if let Say::Stuck(_, began, go) | Say::Blocked(_, began, go) = job {
                    began.send(()).unwrap();
                    go.recv().unwrap_or_default();
                }
                number
            }) as JobFunction<Say>
        };
        let said = Mutex::new(said);
        let deliver = move |number, _| said.lock().unwrap().send(number).unwrap_or_default();
        let plan = TurnThreadPlan {
            work: Box::new(work),
            deliver: Box::new(deliver),
            is_swamped: Box::new(|| false),
            clock: clock.clone(),
            spare: SpareThreads::new(spare),
        };
        let turn_thread = TurnThread::start("turns".into(), Arc::new(plan), WaitMode::Asleep).unwrap();
        Self { clock, turn_thread, heard }
    }

    /// Pushes a job that waits until the sender is used or dropped, and waits until it runs.
    fn keep(
        &self,
        job: fn(u32, mpsc::Sender<()>, mpsc::Receiver<()>) -> Say,
        number: u32,
    ) -> mpsc::Sender<()> {
        let (began, begins) = mpsc::channel();
        let (go, goes) = mpsc::channel();
        self.turn_thread.push([job(number, began, goes)]);
        begins.recv().unwrap();
        go
    }

    fn look(&self) -> Vec<JobReport<Number>> {
        self.turn_thread.look(&LIMITS)
    }
}

fn turn(number: u32) -> Number {
    Number { number, must_yield: true }
}

#[test]
fn jobs_run_in_the_order_they_came() {
    let tried = Tried::with(1);
    tried.turn_thread.push((0..100).map(Say::Number));
    assert_eq!(tried.heard.iter().take(100).collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
}

#[test]
fn a_turn_that_does_not_end_is_told_of_once_then_given_up_and_its_late_result_is_dropped() {
    let tried = Tried::with(1);
    let go = tried.keep(Say::Stuck, 1);
    assert_eq!(tried.look(), []);
    tried.clock.advance(Duration::from_secs(1));
    assert_eq!(tried.look(), [JobReport::Slow(1)]);
    assert_eq!(tried.look(), []);
    assert_eq!(tried.turn_thread.subjects(), [1]);
    tried.clock.advance(Duration::from_secs(9));
    assert_eq!(tried.look(), [], "a process that was stopped makes a turn look long once");
    assert_eq!(tried.look(), [JobReport::Stuck(turn(1))]);
    assert_eq!(tried.turn_thread.subjects(), [0; 0]);
    tried.turn_thread.push([Say::Number(2)]);
    assert_eq!(tried.heard.recv(), Ok(2));
    go.send(()).unwrap();
    tried.turn_thread.push([Say::Number(3)]);
    assert_eq!(tried.heard.recv(), Ok(3));
}

#[test]
fn a_turn_that_keeps_others_waiting_is_moved_aside_and_still_counts_when_it_ends() {
    let tried = Tried::with(1);
    let go = tried.keep(Say::Stuck, 1);
    tried.turn_thread.push([Say::Number(2)]);
    tried.clock.advance(Duration::from_secs(1));
    assert_eq!(tried.look(), [JobReport::Slow(1)]);
    assert_eq!(tried.heard.recv(), Ok(2));
    go.send(()).unwrap();
    assert_eq!(tried.heard.recv(), Ok(1));
}

#[test]
fn turns_that_do_not_yield_are_moved_aside_sooner_the_more_there_are_up_to_a_number() {
    let tried = Tried::with(2);
    let mut kept = vec![tried.keep(Say::Stuck, 1)];
    for (number, after) in [(2, 1_000), (3, 500)] {
        let (began, begins) = mpsc::channel();
        let (go, goes) = mpsc::channel();
        tried.turn_thread.push([Say::Stuck(number, began, goes)]);
        tried.clock.advance(Duration::from_millis(after));
        tried.look();
        begins.recv().unwrap();
        kept.push(go);
    }
    tried.turn_thread.push([Say::Number(4)]);
    tried.clock.advance(Duration::from_millis(250));
    assert_eq!(tried.look(), [JobReport::Full(2)]);
    assert_eq!(tried.look(), [], "it is said once");
    drop(kept.remove(0));
    assert_eq!(tried.heard.recv(), Ok(1));
    // A thread is back, so that another one may be moved aside.
    tried.clock.advance(Duration::from_millis(250));
    tried.look();
    assert_eq!(tried.heard.recv(), Ok(4));
}

#[test]
fn an_activity_that_keeps_the_thread_is_moved_aside_whether_others_wait_or_not() {
    let tried = Tried::with(0);
    let go = tried.keep(Say::Blocked, 1);
    tried.clock.advance(SHORT);
    assert_eq!(tried.look(), []);
    tried.turn_thread.push([Say::Number(2)]);
    assert_eq!(tried.heard.recv(), Ok(2));
    tried.clock.advance(Duration::from_secs(60));
    assert_eq!((tried.look(), tried.look()), (vec![], vec![]), "it may run as long as it likes");
    go.send(()).unwrap();
    assert_eq!(tried.heard.recv(), Ok(1));
}

#[test]
fn activities_behind_a_turn_that_takes_long_leave_the_queue() {
    let tried = Tried::with(0);
    let go = tried.keep(Say::Stuck, 1);
    tried.turn_thread.push([Say::Activity(2), Say::Number(3), Say::Activity(4)]);
    assert!(tried.turn_thread.take_held_up().is_empty());
    tried.clock.advance(SHORT);
    let held_up = tried.turn_thread.take_held_up();
    assert_eq!(held_up.iter().map(Say::number).collect::<Vec<_>>(), [2, 4]);
    go.send(()).unwrap();
    assert_eq!((tried.heard.recv(), tried.heard.recv()), (Ok(1), Ok(3)));
}

#[test]
fn a_turn_thread_that_is_swamped_for_long_leaves_the_runtime_to_the_standby_thread_until_it_is_not() {
    let runtime = Arc::new(tokio::runtime::Builder::new_current_thread().build().unwrap());
    let handle = runtime.handle().clone();
    let handoff = Arc::new(Handoff::new(&runtime, 50));
    let standing = Arc::clone(&handoff);
    let second = thread::spawn(move || standing.run_standby(runtime));
    let driver = || {
        let (said, heard) = mpsc::channel();
        handle.spawn(async move { said.send(thread::current().id()) });
        heard.recv().unwrap()
    };

    let swamped = Arc::new(AtomicBool::new(true));
    let is_swamped = Arc::clone(&swamped);
    let (said, heard) = mpsc::channel();
    let said = Mutex::new(said);
    let plan = TurnThreadPlan {
        work: Box::new(|| Box::new(|job: Say, _| job.number())),
        deliver: Box::new(move |number, _| said.lock().unwrap().send(number).unwrap_or_default()),
        is_swamped: Box::new(move || is_swamped.load(Ordering::SeqCst)),
        clock: Arc::new(ManualClock::new(Timestamp::EPOCH)),
        spare: SpareThreads::new(0),
    };
    let rest = WaitMode::Driving(Arc::clone(&handoff));
    let turn_thread = TurnThread::start("turns".into(), Arc::new(plan), rest).unwrap();
    let run = |number| {
        turn_thread.push([Say::Number(number)]);
        assert_eq!(heard.recv(), Ok(number));
    };

    (0..PATIENCE).for_each(run);
    while !matches!(turn_thread.shared.lock().thread, ThreadState::Asleep) {
        thread::yield_now();
    }
    assert_eq!(driver(), second.thread().id());
    run(PATIENCE);
    assert_eq!(driver(), second.thread().id());

    swamped.store(false, Ordering::SeqCst);
    run(PATIENCE + 1);
    while driver() == second.thread().id() {
        thread::yield_now();
    }
    drop(super::super::handoff::EndOnDrop(handoff));
    second.join().unwrap();
}

#[test]
fn activities_go_first_their_answers_leave_before_a_turn_and_a_turn_runs_after_each_batch() {
    let mut jobs = JobQueue::new();
    let many = u32::try_from(BATCH).unwrap() + 1;
    jobs.push(Say::Number(100));
    jobs.push(Say::Number(101));
    (0..many).for_each(|number| jobs.push(Say::Activity(number)));
    let mut steps = Vec::new();
    loop {
        steps.push(match jobs.next() {
            NextStep::Run(job) => job.number().to_string(),
            NextStep::Send => "send".to_owned(),
            NextStep::Wait => break,
        });
    }
    let batch = (0..many - 1).map(|number| number.to_string());
    let rest = ["send", "100", &(many - 1).to_string(), "send", "101"].map(str::to_owned);
    assert_eq!(steps, batch.chain(rest).collect::<Vec<_>>());
    assert_eq!((jobs.unsent, jobs.turn_is_due), (0, false));
}
