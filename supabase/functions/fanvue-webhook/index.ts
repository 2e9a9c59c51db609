// Wires fanvue-webhook: its environment, its clock and the database.

import { DatabaseFunctions, JsonText } from "../_shared/database.ts";
import { readList, readProject } from "../_shared/environment.ts";
import { writeLog } from "../_shared/logs.ts";
import { type Delivery, handleDelivery } from "./handler.ts";

// Fanvue waits 10 s; the answer has to be on its way before that.
const DATABASE_TIMEOUT_MS = 8_000;

function env(name: string): string | undefined {
  return Deno.env.get(name);
}

function receive(delivery: Delivery): Promise<unknown> {
  const database = new DatabaseFunctions(
    readProject(env),
    fetch,
    DATABASE_TIMEOUT_MS,
  );
  return database.callAsService(
    "receive_webhook_event",
    // The payload travels as text: as values, long numbers would lose digits.
    new JsonText(
      `{"p_payload":${delivery.payload},` +
        `"p_hint_topic":${JSON.stringify(delivery.hintTopic)}}`,
    ),
  );
}

Deno.serve((request) =>
  handleDelivery(request, {
    secrets: () => readList(env, "FANVUE_WEBHOOK_SECRETS"),
    receive,
    nowMs: Date.now,
    log: writeLog,
  })
);
