"""Measures fan-out/fan-in with the published Python package: its worker replays the whole history at every turn.

    python fan.py ADDRESS [N ...] [--bytes B] [--runs R] [--activities A] [--no-alone] [--limit RATIO]

ADDRESS is host:port of a hub called "default"; N is how many activities one orchestration waits for (without any:
1000 3000 5000 10000). Worker and client are threads of this process.

    --bytes B        each activity gives back a text of B bytes (default: a small number)
    --runs R         runs each N R times and prints the run with the median time of the fan (default 1)
    --activities A   how many activities the worker takes at a time (default: what the package takes by itself)
    --no-alone       leaves out the activities alone
    --limit RATIO    ends with 1 where a fan took more than RATIO times what its activities cost alone

Prints one line for each N:

    N       how many activities
    turns   how many turns the worker was given for the fan: calls of the orchestrator function
    fan     milliseconds from the start of the instance until its output is here
    alone   milliseconds the same N activities take without the cost of the fan-in: an orchestration of the same size
            whose worker keeps its second turn back until the last activity has returned; from the start of the
            instance until then
    ratio   fan divided by alone

Turns and outputs are checked; a fan that ends otherwise than with the sum ends this program with 1.
"""

import argparse
import logging
import statistics
import sys
import threading
import time

from durabletask import client, task, worker as workers
from durabletask.azuremanaged.client import DurableTaskSchedulerClient
from durabletask.azuremanaged.worker import DurableTaskSchedulerWorker

PATIENCE = 600
USUAL = [1_000, 3_000, 5_000, 10_000]


class Count:
    """Calls in one run, counted from several threads, and the moment at which the last one expected returned."""

    def __init__(self):
        self.lock = threading.Lock()
        self.reset(0)

    def reset(self, activities):
        with self.lock:
            self.turns = 0
            self.left = activities
            self.last = None
            self.all_returned = threading.Event()

    def turn(self):
        with self.lock:
            self.turns += 1
            return self.turns

    def activity(self):
        with self.lock:
            self.left -= 1
            if self.left == 0:
                self.last = time.perf_counter()
                self.all_returned.set()


COUNT = Count()


def leaf(_, asked):
    number, size = asked
    result = number if size is None else "x" * size
    COUNT.activity()
    return result


def added(results):
    return sum(len(result) if isinstance(result, str) else result for result in results)


def fan(ctx, asked):
    COUNT.turn()
    width, size = asked
    results = yield task.when_all([ctx.call_activity(leaf, input=[number, size]) for number in range(width)])
    return added(results)


def alone(ctx, asked):
    """The same activities. While this turn is not answered the scheduler hands out no other of the instance."""
    if COUNT.turn() == 2:
        COUNT.all_returned.wait(PATIENCE)
    width, size = asked
    results = yield task.when_all([ctx.call_activity(leaf, input=[number, size]) for number in range(width)])
    return added(results)


def measured(hub, orchestrator, width, size):
    """Runs one instance; gives seconds until its output, seconds until the last activity returned, and turns."""
    COUNT.reset(width)
    began = time.perf_counter()
    instance_id = hub.schedule_new_orchestration(orchestrator, input=[width, size])
    state = hub.wait_for_orchestration_completion(instance_id, timeout=PATIENCE)
    ended = time.perf_counter()
    wanted = width * (width - 1) // 2 if size is None else width * size
    if state is None or state.runtime_status != client.OrchestrationStatus.COMPLETED:
        raise AssertionError(f"{orchestrator.__name__} of {width} ended as {state}")
    if state.get_output() != wanted:
        raise AssertionError(f"{orchestrator.__name__} of {width}: {state.get_output()}, wanted {wanted}")
    if COUNT.last is None:
        raise AssertionError(f"{orchestrator.__name__} of {width}: {COUNT.left} activities never ran")
    hub.purge_orchestration(instance_id)
    return ended - began, COUNT.last - began, COUNT.turns


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("sizes", nargs="*", type=int, metavar="N")
    parser.add_argument("--bytes", type=int)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--activities", type=int)
    parser.add_argument("--no-alone", action="store_true")
    parser.add_argument("--limit", type=float)
    return parser.parse_args()


def main():
    asked = options()
    quiet = logging.getLogger("fan")
    quiet.setLevel(logging.CRITICAL)
    place = {
        "host_address": asked.address.removeprefix("http://"),
        "secure_channel": False,
        "taskhub": "default",
        "token_credential": None,
        "logger": quiet,
    }
    concurrency = workers.ConcurrencyOptions(maximum_concurrent_activity_work_items=asked.activities)
    worker = DurableTaskSchedulerWorker(**place, concurrency_options=concurrency)
    for orchestrator in (fan, alone):
        worker.add_orchestrator(orchestrator)
    worker.add_activity(leaf)
    hub = DurableTaskSchedulerClient(**place)
    too_slow = False
    with worker:
        worker.start()
        measured(hub, fan, 100, asked.bytes)  # The first one pays for imports and connections.
        print(f"{'N':>7} {'turns':>6} {'fan ms':>9} {'alone ms':>9} {'ratio':>6}", flush=True)
        for width in asked.sizes or USUAL:
            runs, activities = [], []
            for _ in range(asked.runs):
                runs.append(measured(hub, fan, width, asked.bytes))
                if not asked.no_alone:
                    activities.append(measured(hub, alone, width, asked.bytes)[1])
            seconds, _, turns = sorted(runs)[len(runs) // 2]
            line = f"{width:>7} {turns:>6} {seconds * 1000:>9.0f}"
            if activities:
                cost = statistics.median(activities)
                line += f" {cost * 1000:>9.0f} {seconds / cost:>6.2f}"
                too_slow |= asked.limit is not None and seconds > asked.limit * cost
            print(line, flush=True)
    return 1 if too_slow else 0


if __name__ == "__main__":
    sys.exit(main())
