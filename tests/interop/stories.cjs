// Drives an emulator with the published JavaScript package; the stories are ours.
//
//   NODE_PATH=.../node_modules node stories.cjs ADDRESS
//
// ADDRESS is host:port; the package names no hub, so that it is the hub "default". Prints a line for each story
// that held; what does not hold is an exception and ends with code 1.

const assert = require("node:assert/strict");
const {
  EntityInstanceId,
  HistoryEventType,
  NoOpLogger,
  ProtoOrchestrationStatus: Status,
  RetryPolicy,
  TaskEntity,
  TaskHubGrpcClient,
  TaskHubGrpcWorker,
  whenAll,
  whenAny,
} = require("@microsoft/durabletask-js");

const PATIENCE = 60;

const square = async (_, number) => number * number;

const failuresLeft = new Map();

async function flaky(_, key) {
  const left = failuresLeft.get(key) ?? 2;
  failuresLeft.set(key, left - 1);
  if (left > 0) throw new Error(`not yet, ${left} to go`);
  return "at last";
}

const listWorkItems = async (_, asked) => asked;

async function aggregate(_, results) {
  const sum = results.reduce((total, value) => total + value, 0);
  return { results, sum, average: sum / results.length };
}

// The sample, as `src/orchestration.rs` tells it.
async function* fanOutFanIn(ctx, asked) {
  const items = yield ctx.callActivity(listWorkItems, asked);
  const results = yield whenAll(items.map((item) => ctx.callActivity(square, item)));
  return yield ctx.callActivity(aggregate, results);
}

async function* fanOut(ctx, count) {
  const tasks = Array.from({ length: count }, (_, number) => ctx.callActivity(square, number));
  const squares = yield whenAll(tasks);
  return squares.reduce((sum, value) => sum + value, 0);
}

async function* timed(ctx) {
  const began = ctx.currentUtcDateTime.getTime();
  yield ctx.createTimer(0.3);
  return ctx.currentUtcDateTime.getTime() - began;
}

async function* approval(ctx) {
  const approved = ctx.waitForExternalEvent("approval");
  const winner = yield whenAny([approved, ctx.createTimer(30)]);
  return winner === approved ? approved.getResult() : "too late";
}

async function* parent(ctx, numbers) {
  ctx.setCustomStatus({ children: numbers.length });
  return yield whenAll(numbers.map((number) => ctx.callSubOrchestrator(fanOut, number)));
}

async function* patient(ctx, key) {
  const retry = new RetryPolicy({ maxNumberOfAttempts: 3, firstRetryIntervalInMilliseconds: 50 });
  return yield ctx.callActivity(flaky, key, { retry });
}

async function* impatient(ctx, key) {
  yield ctx.callActivity(square, 2);
  return yield ctx.callActivity(flaky, key);
}

async function* generations(ctx, count) {
  yield ctx.createTimer(0.001);
  if (count === 20) return count;
  ctx.continueAsNew(count + 1, true);
}

class Account extends TaskEntity {
  initializeState() {
    return 0;
  }
  deposit(amount) {
    this.state += amount;
    return this.state;
  }
}

async function* transfer(ctx, keys) {
  const [from, to] = keys.map((key) => new EntityInstanceId("account", key));
  const lock = yield ctx.entities.lockEntities(from, to);
  try {
    yield ctx.entities.callEntity(from, "deposit", -10);
    return yield ctx.entities.callEntity(to, "deposit", 10);
  } finally {
    lock.release();
  }
}

function told(text) {
  console.log(`ok ${text}`);
}

async function endOf(hub, id, status = Status.ORCHESTRATION_STATUS_COMPLETED) {
  const state = await hub.waitForOrchestrationCompletion(id, true, PATIENCE);
  assert.equal(state?.runtimeStatus, status, `${id}: ${JSON.stringify(state)}`);
  return state;
}

async function outputOf(hub, orchestrator, input) {
  const state = await endOf(hub, await hub.scheduleNewOrchestration(orchestrator, input));
  return JSON.parse(state.serializedOutput);
}

async function everyStory(hub) {
  const summary = await outputOf(hub, fanOutFanIn, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  assert.deepEqual([summary.sum, summary.average], [385, 38.5]);
  told("the sample");

  assert.equal(await outputOf(hub, fanOut, 100), 328350);
  told("fan-out over 100 activities");

  assert.ok((await outputOf(hub, timed)) >= 300);
  told("timer");

  let id = await hub.scheduleNewOrchestration(approval);
  await hub.waitForOrchestrationStart(id, false, PATIENCE);
  await hub.raiseOrchestrationEvent(id, "approval", { by: "somebody" });
  assert.deepEqual(JSON.parse((await endOf(hub, id)).serializedOutput), { by: "somebody" });
  told("event");

  id = await hub.scheduleNewOrchestration(parent, [2, 3]);
  const family = await endOf(hub, id);
  assert.deepEqual(JSON.parse(family.serializedOutput), [1, 5]);
  told("child");
  assert.deepEqual(JSON.parse(family.serializedCustomStatus), { children: 2 });
  told("custom status");

  assert.equal(await outputOf(hub, patient, "a"), "at last");
  told("retry");

  assert.equal(await outputOf(hub, generations, 1), 20);
  told("continue-as-new");

  const keys = ["from", "to"];
  const [from, to] = keys.map((key) => new EntityInstanceId("account", key));
  await hub.signalEntity(from, "deposit", 100);
  const transfers = [];
  for (let number = 0; number < 3; number += 1) {
    transfers.push(await hub.scheduleNewOrchestration(transfer, keys));
  }
  for (const each of transfers) await endOf(hub, each);
  const balances = [(await hub.getEntity(from)).state, (await hub.getEntity(to)).state];
  assert.deepEqual(balances, [70, 30]);
  told("entity with lock");

  id = await hub.scheduleNewOrchestration(impatient, "rewound");
  await endOf(hub, id, Status.ORCHESTRATION_STATUS_FAILED);
  await hub.rewindInstance(id, "once more");
  await endOf(hub, id, Status.ORCHESTRATION_STATUS_FAILED);
  await hub.rewindInstance(id, "and once more");
  assert.equal(JSON.parse((await endOf(hub, id)).serializedOutput), "at last");
  told("rewind");

  for (let number = 0; number < 5; number += 1) {
    await endOf(hub, await hub.scheduleNewOrchestration(fanOut, 1, `page-${number}`));
  }
  const seen = [];
  let pages = 0;
  for await (const page of hub.getAllInstances({ instanceIdPrefix: "page-" }).asPages(undefined, 2)) {
    pages += 1;
    seen.push(...page.values.map((state) => state.instanceId));
  }
  assert.deepEqual(seen.sort(), [0, 1, 2, 3, 4].map((number) => `page-${number}`));
  assert.ok(pages >= 3, `${pages} pages of two for five instances`);
  told("query over pages");

  const kinds = (await hub.getOrchestrationHistory("page-0")).map((event) => event.type);
  assert.deepEqual(kinds, [
    HistoryEventType.OrchestratorStarted,
    HistoryEventType.ExecutionStarted,
    HistoryEventType.TaskScheduled,
    HistoryEventType.OrchestratorStarted,
    HistoryEventType.TaskCompleted,
    HistoryEventType.ExecutionCompleted,
  ]);
  told("history");
}

async function main(hostAddress) {
  const logger = new NoOpLogger();
  const worker = new TaskHubGrpcWorker({ hostAddress, logger });
  for (const each of [fanOutFanIn, fanOut, timed, approval, parent, patient, impatient, generations, transfer]) {
    worker.addOrchestrator(each);
  }
  worker.addNamedActivity("square", square);
  worker.addNamedActivity("listWorkItems", listWorkItems);
  worker.addActivity(aggregate);
  worker.addActivity(flaky);
  worker.addNamedEntity("account", () => new Account());
  await worker.start();
  const hub = new TaskHubGrpcClient({ hostAddress, logger });
  await everyStory(hub);
  await hub.stop();
  await worker.stop();
}

main(process.argv[2]).then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
