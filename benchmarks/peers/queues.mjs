// Drains a backlog with a queue in Node, or measures how soon it picks a job up.
// Speaks JSON lines: says "filled", waits for a line, says its result. Knows nothing of the engine.
import { once } from "node:events";
import { createInterface } from "node:readline";
import { Logger, makeWorkerUtils, run } from "graphile-worker";
import { PgBoss } from "pg-boss";

const [queue, url, jobs, batch, pickups] = process.argv.slice(2);
const JOBS = Number(jobs);
const BATCH = Number(batch);
const PICKUPS = Number(pickups);
// Long enough for the worker to be idle again.
const PAUSE_MS = 150;
const CONNECTIONS = 10;

const lines = createInterface({ input: process.stdin });
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
const pause = () => new Promise((resolve) => setTimeout(resolve, PAUSE_MS));

async function go() {
  const line = once(lines, "line");
  say({ filled: JOBS });
  await line;
}

async function pickUp(add, heard) {
  const pickups_ms = [];
  for (let n = 0; n < PICKUPS; n++) {
    await pause();
    const began = performance.now();
    const picked = heard();
    await add();
    pickups_ms.push((await picked) - began);
  }
  return { pickups_ms };
}

function counter() {
  let done = 0;
  let waiting = () => {};
  const { promise: all, resolve } = Promise.withResolvers();
  return {
    all,
    heard: () => new Promise((answer) => (waiting = answer)),
    count() {
      waiting(performance.now());
      if (++done === JOBS) resolve();
    },
  };
}

async function graphile() {
  const logger = new Logger(() => () => {});
  const utils = await makeWorkerUtils({ connectionString: url, logger });
  await utils.migrate();
  const jobs = counter();
  const start = () =>
    run({
      connectionString: url,
      noHandleSignals: true,
      crontab: "",
      taskList: { noop: async () => jobs.count() },
      preset: {
        worker: {
          maxPoolSize: CONNECTIONS,
          concurrentJobs: BATCH > 1 ? 50 : CONNECTIONS,
          ...(BATCH > 1 ? { localQueue: { size: BATCH }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } : {}),
        },
      },
      logger,
    });
  if (PICKUPS) {
    const runner = await start();
    const result = await pickUp(() => utils.addJob("noop", {}), jobs.heard);
    await runner.stop();
    await utils.release();
    return result;
  }
  await utils.addJobs(Array.from({ length: JOBS }, () => ({ identifier: "noop", payload: {} })));
  await utils.release();
  await go();
  const began = performance.now();
  const runner = await start();
  await jobs.all;
  // What is done but not yet written is written before it stops.
  await runner.stop();
  return { seconds: (performance.now() - began) / 1000 };
}

async function boss() {
  const it = new PgBoss({ connectionString: url, max: CONNECTIONS, schedule: false, supervise: false });
  it.on("error", (error) => process.stderr.write(`${error}\n`));
  await it.start();
  await it.createQueue("noop");
  if (PICKUPS) {
    const jobs = counter();
    await it.work("noop", { pollingIntervalSeconds: 0.5 }, async () => jobs.count());
    const result = await pickUp(() => it.send("noop", {}), jobs.heard);
    await it.stop({ graceful: true });
    return result;
  }
  await it.insert("noop", Array.from({ length: JOBS }, () => ({ data: {} })));
  await go();
  const began = performance.now();
  let done = 0;
  for (;;) {
    const taken = await it.fetch("noop", { batchSize: BATCH });
    if (!taken.length) break;
    await it.complete("noop", taken.map((job) => job.id));
    done += taken.length;
  }
  const seconds = (performance.now() - began) / 1000;
  if (done !== JOBS) throw new Error(`pg-boss finished ${done} of ${JOBS} jobs`);
  await it.stop({ graceful: false });
  return { seconds };
}

const result = await { "graphile-worker": graphile, "pg-boss": boss }[queue]();
say(result);
process.exit(0);
