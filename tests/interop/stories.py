"""Drives an emulator with the published Python packages; the stories are ours.

    python stories.py all ADDRESS [HUB]      a worker and a client, every story
    python stories.py worker ADDRESS [HUB]   a worker until standard input ends; prints "ready" first
    python stories.py client ADDRESS [HUB]   a client that starts what a worker in Rust runs

ADDRESS is host:port; HUB is "default" unless given. Prints a line for each story that held; what does not hold is an
exception and ends with code 1.
"""

import sys
from datetime import timedelta

from durabletask import client, entities, task
from durabletask.azuremanaged.client import DurableTaskSchedulerClient
from durabletask.azuremanaged.worker import DurableTaskSchedulerWorker

PATIENCE = 60
STATUS = client.OrchestrationStatus


def square(_, number):
    return number * number


failures_left = {}


def flaky(_, key):
    """Fails twice for each key, then does not."""
    left = failures_left.setdefault(key, 2)
    if left:
        failures_left[key] = left - 1
        raise ValueError(f"not yet, {left} to go")
    return "at last"


def list_work_items(_, asked):
    return asked


def process(_, item):
    return item * item


def aggregate(_, results):
    return {"results": results, "sum": sum(results), "average": sum(results) / len(results)}


def fan_out_fan_in(ctx, asked):
    """The sample, as `src/orchestration.rs` tells it."""
    items = yield ctx.call_activity(list_work_items, input=asked)
    results = yield task.when_all([ctx.call_activity(process, input=item) for item in items])
    return (yield ctx.call_activity(aggregate, input=results))


def python_fan_out(ctx, count):
    squares = yield task.when_all([ctx.call_activity(square, input=n) for n in range(count)])
    return sum(squares)


def timed(ctx, _):
    began = ctx.current_utc_datetime
    yield ctx.create_timer(timedelta(milliseconds=300))
    return (ctx.current_utc_datetime - began).total_seconds()


def approval(ctx, _):
    approved = ctx.wait_for_external_event("approval")
    timeout = ctx.create_timer(timedelta(seconds=30))
    winner = yield task.when_any([approved, timeout])
    if winner != approved:
        return "too late"
    return (yield approved)


def parent(ctx, numbers):
    children = [ctx.call_sub_orchestrator(python_fan_out, input=n) for n in numbers]
    return (yield task.when_all(children))


def patient(ctx, key):
    policy = task.RetryPolicy(first_retry_interval=timedelta(milliseconds=50), max_number_of_attempts=3)
    return (yield ctx.call_activity(flaky, input=key, retry_policy=policy))


def endless(ctx, _):
    yield ctx.wait_for_external_event("never")


def generations(ctx, count):
    ctx.set_custom_status(f"generation {count}")
    yield ctx.create_timer(timedelta(milliseconds=1))
    if count == 20:
        return count
    ctx.continue_as_new(count + 1)


def account(ctx, amount):
    balance = ctx.get_state(int, 0)
    if ctx.operation == "deposit":
        ctx.set_state(balance + amount)
    return ctx.get_state(int, 0)


def transfer(ctx, keys):
    """Reads and writes two accounts under one lock."""
    accounts = [entities.EntityInstanceId("account", key) for key in keys]
    with (yield ctx.lock_entities(accounts)):
        yield ctx.call_entity(accounts[0], "deposit", -10)
        return (yield ctx.call_entity(accounts[1], "deposit", 10))


def soak_square(_, number):
    return number * number


def soak_order(ctx, number):
    """What cli/benches/soak.rs starts in every language."""
    squares = yield task.when_all([ctx.call_activity(soak_square, input=number + n) for n in range(3)])
    yield ctx.create_timer(timedelta(milliseconds=20))
    child = yield ctx.call_sub_orchestrator(soak_child, input=number)
    ctx.signal_entity(entities.EntityInstanceId("soak_counter", str(number % 8)), "add", 1)
    event = yield ctx.wait_for_external_event("go")
    return sum(squares) + child + event


def soak_child(ctx, number):
    return (yield ctx.call_activity(soak_square, input=number))


def soak_counter(ctx, amount):
    ctx.set_state(ctx.get_state(int, 0) + amount)


ORCHESTRATORS = [fan_out_fan_in, python_fan_out, timed, approval, parent, patient, endless, generations, transfer]
ORCHESTRATORS += [soak_order, soak_child]


def worker_at(address, hub):
    worker = DurableTaskSchedulerWorker(
        host_address=address, secure_channel=False, taskhub=hub, token_credential=None
    )
    for orchestrator in ORCHESTRATORS:
        worker.add_orchestrator(orchestrator)
    for activity in (list_work_items, process, aggregate, square, flaky, soak_square):
        worker.add_activity(activity)
    for entity in (account, soak_counter):
        worker.add_entity(entity)
    # Others may serve the same hub in another language: take only what is registered here.
    worker.use_work_item_filters()
    return worker


def client_at(address, hub):
    return DurableTaskSchedulerClient(
        host_address=address, secure_channel=False, taskhub=hub, token_credential=None
    )


def told(text):
    print(f"ok {text}", flush=True)


def expect(got, wanted):
    if got != wanted:
        raise AssertionError(f"got {got!r}, wanted {wanted!r}")


def end_of(hub, instance_id, status=STATUS.COMPLETED):
    state = hub.wait_for_orchestration_completion(instance_id, timeout=PATIENCE)
    if state is None or state.runtime_status != status:
        raise AssertionError(f"{instance_id} ended as {state}")
    return state


def output_of(hub, orchestrator, **start):
    return end_of(hub, hub.schedule_new_orchestration(orchestrator, **start)).get_output()


def sample(hub):
    summary = output_of(hub, "fan_out_fan_in", input=list(range(1, 11)))
    expect((summary["sum"], summary["average"]), (385, 38.5))


def every_story(hub):
    sample(hub)
    told("the sample")

    expect(output_of(hub, python_fan_out, input=100), sum(n * n for n in range(100)))
    told("fan-out over 100 activities")

    waited = output_of(hub, timed)
    if waited < 0.3:
        raise AssertionError(f"the timer fired after {waited} s")
    told("timer")

    instance_id = hub.schedule_new_orchestration(approval)
    hub.wait_for_orchestration_start(instance_id, timeout=PATIENCE)
    hub.raise_orchestration_event(instance_id, "approval", data={"by": "somebody"})
    expect(end_of(hub, instance_id).get_output(), {"by": "somebody"})
    told("event")

    expect(output_of(hub, parent, input=[2, 3]), [1, 5])
    told("child")

    expect(output_of(hub, patient, input="a"), "at last")
    told("retry")

    instance_id = hub.schedule_new_orchestration(endless, tags={"team": "blue"})
    hub.wait_for_orchestration_start(instance_id, timeout=PATIENCE)
    hub.suspend_orchestration(instance_id)
    hub.resume_orchestration(instance_id)
    hub.terminate_orchestration(instance_id, output="enough")
    expect(end_of(hub, instance_id, STATUS.TERMINATED).get_output(), "enough")
    told("terminate")

    instance_id = hub.schedule_new_orchestration(generations, input=1)
    state = end_of(hub, instance_id)
    expect(state.get_output(), 20)
    expect(state.get_custom_status(), "generation 20")
    told("continue-as-new")

    keys = ["from", "to"]
    accounts = [entities.EntityInstanceId("account", key) for key in keys]
    hub.signal_entity(accounts[0], "deposit", 100)
    ids = [hub.schedule_new_orchestration(transfer, input=keys) for _ in range(3)]
    for instance_id in ids:
        end_of(hub, instance_id)
    balances = [hub.get_entity(account, include_state=True).get_state(int) for account in accounts]
    expect(balances, [70, 30])
    told("entity with lock")

    expect(hub.purge_orchestration(ids[0]).deleted_instance_count, 1)
    expect(hub.get_orchestration_state(ids[0]), None)
    told("purge")


def main(role, address, hub="default"):
    if role == "client":
        sample(client_at(address, hub))
        told("a client in Python and a worker in Rust")
        return
    with worker_at(address, hub) as worker:
        worker.start()
        if role == "worker":
            print("ready", flush=True)
            sys.stdin.read()
        else:
            every_story(client_at(address, hub))


if __name__ == "__main__":
    main(*sys.argv[1:])
