// `/confirm`: who began to connect the agency's account sees for which agency it is (GET) and says
// yes (POST); only then is the grant stored. It takes the session of who began and the nonce that only
// the browser that consented was given: who lures somebody to consent lacks the nonce, who is lured
// the session.

import type { DatabaseFunctions } from "../_shared/database.ts";
import { DatabaseAway } from "../_shared/errors.ts";
import { heldToken, modelColumn } from "../_shared/sealing.ts";
import {
  fieldsOf,
  listOf,
  numberOf,
  repeat,
  textOf,
} from "./database_answers.ts";
import {
  CORS_HEADERS,
  explain,
  refuse,
  refuseStranger,
  userToken,
} from "./script_answers.ts";
import { hashNonce, isNonce } from "./consent.ts";
import { databaseOf, type Effects } from "./effects.ts";
import { PRIVATE_HEADERS } from "./pages.ts";
import type { Settings } from "./settings.ts";

// A creator costs a lock and a few rows: so many at a time stay far from any time limit.
const CREATORS_AT_ONCE = 100;

interface Work {
  readonly settings: Settings;
  readonly database: DatabaseFunctions;
  readonly effects: Effects;
}

/** Shows what is to be confirmed, or stores it. */
export async function confirm(
  request: Request,
  effects: Effects,
): Promise<Response> {
  const token = userToken(request);
  if (token === null) return refuseStranger();
  const nonce = new URL(request.url).searchParams.get("nonce") ?? "";
  if (!isNonce(nonce)) {
    return refuse(400, "nonce is not one that was made here");
  }
  try {
    const settings = effects.settings();
    const database = databaseOf(settings, effects);
    const nonceHash = await hashNonce(nonce);
    const isConfirmed = request.method === "POST";
    const shown = await database.callAsUser(token, "confirm_connection", {
      p_nonce_hash: nonceHash,
      p_confirm: isConfirmed,
    });
    return answer(
      isConfirmed
        ? await storeHeld({ settings, database, effects }, nonceHash)
        : fieldsOf(shown, "confirm_connection"),
    );
  } catch (error) {
    return explain(error, effects, "connect_not_confirmed");
  }
}

/** Stores the grant and lets the account's creators be read through it; repeated, it goes on. */
async function storeHeld(work: Work, nonceHash: string): Promise<unknown> {
  const { settings, database, effects } = work;
  const held = fieldsOf(
    await database.callAsService("confirmed_connection", {
      p_nonce_hash: nonceHash,
    }),
    "confirmed_connection",
  );
  const agencyId = textOf(held, "agency_id");
  const place = fieldsOf(
    await repeat(
      () =>
        database.callAsService("connect_agency", {
          p_agency: agencyId,
          p_user_uuid: textOf(held, "user_uuid"),
          p_fingerprint: textOf(held, "fingerprint"),
        }),
      DatabaseAway,
      effects,
    ),
    "connect_agency",
  );
  const connectionId = textOf(place, "connection_id");
  if (place.repeated !== true) {
    const [access, refresh] = await Promise.all(
      ["access_token", "refresh_token"].map(async (column) =>
        await settings.keyring.seal(
          await settings.keyring.open(
            textOf(held, column),
            heldToken(nonceHash, column),
          ),
          modelColumn(connectionId, `fanvue_${column}`),
        )
      ),
    );
    await repeat(
      () =>
        database.callAsService("store_connection", {
          p_connection_id: connectionId,
          p_version: numberOf(place, "token_version"),
          p_access_token: access ?? "",
          p_refresh_token: refresh ?? "",
          p_expires_in_s: numberOf(held, "expires_in_s"),
          p_fingerprint: textOf(held, "fingerprint"),
          ...(typeof held.handle === "string" ? { p_handle: held.handle } : {}),
        }),
      DatabaseAway,
      effects,
    );
  }
  const outcomes = await attach(work, connectionId, listOf(held, "creators"));
  effects.log("agency_connected", {
    agency_id: agencyId,
    connection_id: connectionId,
    ...outcomes,
  });
  return { connection_id: connectionId, creators: outcomes };
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

function answer(body: unknown): Response {
  return Response.json(body, {
    headers: { ...PRIVATE_HEADERS, ...CORS_HEADERS },
  });
}
