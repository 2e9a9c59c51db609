// Stores what the person confirmed: a creator's grant in its model, or an agency's in its connection.

import type { DatabaseFunctions } from "../_shared/database.ts";
import { DatabaseAway } from "../_shared/errors.ts";
import { heldToken, modelColumn } from "../_shared/sealing.ts";
import {
  fieldsOf,
  listOf,
  numberOf,
  repeat,
  type Row,
  textOf,
} from "./database_answers.ts";
import type { Effects } from "./effects.ts";
import { Ended, refusedWith } from "./ended.ts";
import type { Settings } from "./settings.ts";

// A creator costs a lock and a few rows: so many at a time stay far from any time limit.
const CREATORS_AT_ONCE = 100;

interface Work {
  readonly settings: Settings;
  readonly database: DatabaseFunctions;
  readonly effects: Effects;
}

/** Stores a confirmed grant; returns the id of the model or connection that has it now. */
export async function storeHeld(
  work: Work,
  nonceHash: string,
): Promise<string> {
  const { database, effects } = work;
  const answer = await repeat(
    () =>
      database.callAsService("confirmed_connection", {
        p_nonce_hash: nonceHash,
      }),
    DatabaseAway,
    effects,
  ).catch((error) => {
    throw refusedWith(error, { 409: "elsewhere", 412: "wrongAccount" });
  });
  // another press of the same button was faster
  if (answer === null) throw new Ended("used");
  const held = fieldsOf(answer, "confirmed_connection");
  switch (held.kind) {
    case "creator":
      return await storeCreator(work, nonceHash, held);
    case "agency":
      return await storeAgency(work, nonceHash, held);
    default:
      throw new DatabaseAway("an answer names no kind of account");
  }
}

async function storeCreator(
  { settings, database, effects }: Work,
  nonceHash: string,
  held: Row,
): Promise<string> {
  const modelId = textOf(held, "model_id");
  // Sealed once: repeated with the same texts, a stored grant is recognised as stored.
  const [access, refresh] = await reseal(
    settings,
    nonceHash,
    held,
    modelId,
  );
  const agencyId = textOf(held, "agency_id");
  await repeat(
    () =>
      database.callAsService("store_grant", {
        p_model_id: modelId,
        p_version: numberOf(held, "token_version"),
        p_access_token: access,
        p_refresh_token: refresh,
        p_expires_in_s: numberOf(held, "expires_in_s"),
        p_nonce_hash: nonceHash,
      }),
    DatabaseAway,
    effects,
  ).catch((error) => {
    throw refusedWith(error, { 404: "used", 409: "changed" });
  });
  effects.log("connected", { agency_id: agencyId, model_id: modelId });
  return modelId;
}

/** Stores the agency's grant and lets its creators be read through it; repeated, it goes on. */
async function storeAgency(
  work: Work,
  nonceHash: string,
  held: Row,
): Promise<string> {
  const { settings, database, effects } = work;
  const agencyId = textOf(held, "agency_id");
  const connectionId = textOf(held, "connection_id");
  if (held.stored !== true) {
    const [access, refresh] = await reseal(
      settings,
      nonceHash,
      held,
      connectionId,
    );
    await repeat(
      () =>
        database.callAsService("store_connection", {
          p_connection_id: connectionId,
          p_version: numberOf(held, "token_version"),
          p_access_token: access,
          p_refresh_token: refresh,
          p_expires_in_s: numberOf(held, "expires_in_s"),
          p_fingerprint: textOf(held, "fingerprint"),
          p_nonce_hash: nonceHash,
          ...(typeof held.handle === "string" ? { p_handle: held.handle } : {}),
        }),
      DatabaseAway,
      effects,
    ).catch((error) => {
      throw refusedWith(error, { 404: "used", 409: "changed" });
    });
  }
  const outcomes = await attach(work, connectionId, listOf(held, "creators"));
  effects.log("agency_connected", {
    agency_id: agencyId,
    connection_id: connectionId,
    ...outcomes,
  });
  return connectionId;
}

/** Opens both tokens of a held grant and seals them for where they are stored. */
async function reseal(
  { keyring }: Settings,
  nonceHash: string,
  held: Row,
  id: string,
): Promise<[access: string, refresh: string]> {
  const one = async (column: string): Promise<string> =>
    await keyring.seal(
      await keyring.open(textOf(held, column), heldToken(nonceHash, column)),
      modelColumn(id, `fanvue_${column}`),
    );
  return [await one("access_token"), await one("refresh_token")];
}

async function attach(
  { database, effects }: Work,
  connectionId: string,
  creators: readonly unknown[],
): Promise<Readonly<Record<string, number>>> {
  const outcomes: Record<string, number> = {};
  for (let from = 0; from < creators.length; from += CREATORS_AT_ONCE) {
    const some = creators.slice(from, from + CREATORS_AT_ONCE);
    const answered = await repeat(
      () =>
        database.callAsService("attach_creators", {
          p_connection_id: connectionId,
          p_creators: some as never,
        }),
      DatabaseAway,
      effects,
    );
    for (const one of Array.isArray(answered) ? answered : []) {
      const outcome = textOf(fieldsOf(one, "attach_creators"), "outcome");
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    }
  }
  return outcomes;
}
