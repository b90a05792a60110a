"""Drives an emulator with what is nearly, and with what is really, too large for the published Python packages.

    python large.py ADDRESS

Prints a line for each story that held, as stories.py does. No worker of the package fetches histories, and its client takes
4 MiB a message.
"""

import sys

from durabletask import task
from durabletask.azuremanaged.worker import DurableTaskSchedulerWorker

from stories import PATIENCE, STATUS, client_at, expect, told

# Nobody's patience is tried but that of a machine with much else to do.
LONG = 3 * PATIENCE

turns = {}


def text(_, size):
    return "x" * size


def fan(ctx, what):
    """Asks for so many texts of a size; the questions may be long too."""
    turns[ctx.instance_id] = turns.get(ctx.instance_id, 0) + 1
    size, question = what["size"], what.get("question")
    asked = [ctx.call_activity(text if question is None else answer, input=question or size) for _ in range(what["count"])]
    return len((yield task.when_all(asked)))


def answer(_, question):
    return len(question)


def small(ctx, _):
    return (yield ctx.call_activity(text, input=3))


def end_of(hub, instance_id):
    state = hub.wait_for_orchestration_completion(instance_id, timeout=LONG)
    if state is None:
        raise AssertionError(f"{instance_id} has not ended")
    return state


def fails(hub, what, error_type, parts):
    state = end_of(hub, hub.schedule_new_orchestration(fan, input=what))
    expect(state.runtime_status, STATUS.FAILED)
    expect(state.failure_details.error_type, error_type)
    for part in parts:
        if part not in state.failure_details.message:
            raise AssertionError(f"{state.failure_details.message!r} does not say {part!r}")
    # The worker has lost nothing, and nothing else has waited.
    expect(end_of(hub, hub.schedule_new_orchestration(small)).get_output(), "xxx")


def main(address):
    worker = DurableTaskSchedulerWorker(
        host_address=address, secure_channel=False, taskhub="default", token_credential=None
    )
    for orchestrator in (fan, small):
        worker.add_orchestrator(orchestrator)
    for activity in (text, answer):
        worker.add_activity(activity)
    with worker:
        worker.start()
        hub = client_at(address, "default")

        # 20,000 events, about 3.7 MB of them.
        instance_id = hub.schedule_new_orchestration(fan, input={"count": 10_000, "size": 230})
        expect(end_of(hub, instance_id).get_output(), 10_000)
        print(f"# {turns[instance_id]} turns", flush=True)
        if turns[instance_id] > 400:
            raise AssertionError(f"{turns[instance_id]} turns for 10,000 results")
        told("a history of 20,000 events")

        fails(hub, {"count": 8_000, "size": 600}, "HistoryTooLarge", ["continue-as-new", "HISTORY_STREAMING"])
        told("a history of 8,000 results of 600 bytes")

        question = {"count": 8_000, "size": 0, "question": "x" * 600}
        fails(hub, question, "MessageTooLarge", ["4194304", "large-payload store"])
        told("a turn that asks for 8,000 activities with 600 bytes each")


if __name__ == "__main__":
    main(*sys.argv[1:])
