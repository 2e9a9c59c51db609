// Wires fanvue-webhook: its environment, its clock and the database.

import { DatabaseFunctions, JsonText } from "../_shared/database.ts";
import { readList, readProject } from "../_shared/environment.ts";
import { writeLog } from "../_shared/logs.ts";
import { Keyring } from "../_shared/sealing.ts";
import { Gate, type Report } from "./gate.ts";
import { type Delivery, handleDelivery } from "./handler.ts";

const GATE_TIMEOUT_MS = 2_500;
// Longer than the database works on it: it is told again once that is over.
const REPORT_TIMEOUT_MS = 8_500;

function env(name: string): string | undefined {
  return Deno.env.get(name);
}

function receive(
  delivery: Delivery,
  withinMs: number,
  apply: boolean,
): Promise<unknown> {
  const database = new DatabaseFunctions(readProject(env), fetch, withinMs);
  return database.callAsService(
    "receive_webhook_event",
    // The payload travels as text: as values, long numbers would lose digits.
    new JsonText(
      `{"p_payload":${delivery.payload},` +
        // An older database knows nothing of it; without it, nothing is missing.
        (delivery.vouchedFor === null
          ? ""
          : `"p_vouched_for":${JSON.stringify(delivery.vouchedFor)},`) +
        (apply ? "" : `"p_apply":false,`) +
        `"p_hint_topic":${JSON.stringify(delivery.hintTopic)}}`,
    ),
  );
}

function ask(creator: string | null): Promise<unknown> {
  return callGate({ p_creator: creator }, GATE_TIMEOUT_MS);
}

function tell({ id, refused, unopened }: Report): Promise<unknown> {
  return callGate(
    // An older database does not look at the id.
    { p_refused: { ...refused, report: id }, p_unopened: unopened },
    REPORT_TIMEOUT_MS,
  );
}

function callGate(
  args: Record<string, unknown>,
  withinMs: number,
): Promise<unknown> {
  const database = new DatabaseFunctions(readProject(env), fetch, withinMs);
  return database.callAsService("webhook_gate", args);
}

function open(sealed: string, place: string): Promise<string> {
  return Keyring.parse(readList(env, "TOKEN_ENCRYPTION_KEYS")).open(
    sealed,
    place,
  );
}

/** Hosted, an isolate may end with its last answer, unless it is told that work goes on. */
function background(work: Promise<void>): void {
  const { EdgeRuntime: runtime } = globalThis as unknown as {
    EdgeRuntime?: { waitUntil(work: Promise<void>): void };
  };
  runtime?.waitUntil(work);
}

function secrets(): string[] {
  return env("FANVUE_WEBHOOK_SECRETS")?.trim()
    ? readList(env, "FANVUE_WEBHOOK_SECRETS")
    : [];
}

const gate = new Gate({
  ask,
  tell,
  open,
  nowMs: Date.now,
  pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  background,
  log: writeLog,
});

Deno.serve((request) =>
  handleDelivery(request, {
    secrets,
    gate,
    receive,
    nowMs: Date.now,
    log: writeLog,
  })
);
