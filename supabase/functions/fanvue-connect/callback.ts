// `/callback`: the browser comes back from Fanvue. The state is used up first, every check comes
// before the first write, and both tokens are sealed before they leave this process. What Fanvue
// granted is held, never stored: the person sees in the dashboard for which agency it is and what it
// reads, and says yes (`/confirm`).
//
// The state cannot be tied to the browser that began: dashboard and functions are two sites. So the
// browser that comes back is given two things that nobody else has: a nonce in the address, and a
// secret in a cookie.

import type { DatabaseFunctions } from "../_shared/database.ts";
import { sha256, toHex } from "../_shared/bytes.ts";
import {
  DatabaseAway,
  FanvueAway,
  FanvueBusy,
  FanvueRefused,
} from "../_shared/errors.ts";
import { describe } from "../_shared/logs.ts";
import { connectionVerifier, heldToken } from "../_shared/sealing.ts";
import { giveCookie } from "./browser.ts";
import { fieldsOf, repeat, textOf, textOrNull } from "./database_answers.ts";
import { Ended, endWith, refusedWith } from "./ended.ts";
import { hashNonce, isNonce, makeNonce } from "./consent.ts";
import { databaseOf, type Effects } from "./effects.ts";
import { type Account, Fanvue, type Grant, type Managed } from "./fanvue.ts";
import { PRIVATE_HEADERS } from "./pages.ts";
import { returnUrl } from "./return_path.ts";
import { AGENCY_SCOPE, type Settings } from "./settings.ts";

const CREATOR_NEEDS = ["read:self", "read:insights"];
const AGENCY_NEEDS = [...CREATOR_NEEDS, "read:creator", AGENCY_SCOPE];
const LASTING = "offline_access";
// A longer pause is for people, not for a browser that waits.
const LONGEST_PAUSE_SECONDS = 5;
const ERROR_WORD = /^[a-z_]{1,64}$/;

/** What was noted when the connection began. */
interface Attempt {
  readonly kind: "creator" | "agency";
  readonly agencyId: string;
  readonly modelId: string | null;
  /** Whose consent it must be, where one was named. */
  readonly accountUuid: string | null;
  readonly verifier: string;
  readonly returnTo: string | null;
}

interface Work {
  readonly settings: Settings;
  readonly database: DatabaseFunctions;
  readonly fanvue: Fanvue;
  readonly effects: Effects;
}

interface Consent {
  readonly attempt: Attempt;
  readonly grant: Grant;
  readonly account: Account;
}

/** Holds what Fanvue granted and sends the browser to where it is confirmed. */
export async function callback(
  request: Request,
  effects: Effects,
): Promise<Response> {
  try {
    return await finish(new URL(request.url).searchParams, effects);
  } catch (error) {
    return endWith(error, effects);
  }
}

async function finish(
  query: URLSearchParams,
  effects: Effects,
): Promise<Response> {
  const error = query.get("error");
  if (error !== null) {
    const word = ERROR_WORD.test(error) ? error : "unreadable";
    effects.log("connect_declined", { word });
    throw declined(word, query.get("error_description") ?? "", effects);
  }
  const state = query.get("state") ?? "";
  const code = query.get("code") ?? "";
  if (!isNonce(state) || code === "") throw new Ended("incomplete");

  const settings = effects.settings();
  const database = databaseOf(settings, effects);
  const stateHash = await hashNonce(state);
  const attempt = await takeAttempt(database, stateHash);
  const verifier = await settings.keyring.open(
    attempt.verifier,
    connectionVerifier(stateHash),
  );
  const fanvue = new Fanvue(settings.fanvue, effects.fetch);
  const work = { settings, database, fanvue, effects };
  const grant = await exchange(work, attempt, code, verifier);
  const account = await ask(work, () => fanvue.whoIs(grant.accessToken));
  if (attempt.accountUuid !== null && attempt.accountUuid !== account.uuid) {
    throw new Ended("wrongAccount");
  }
  const consent = { attempt, grant, account };
  const creators = attempt.kind === "agency"
    ? await managedBy(work, consent)
    : null;
  if (attempt.kind === "creator" && account.isCreator === false) {
    throw new Ended("managerAccount");
  }
  const { nonce, cookie } = await hold(work, consent, stateHash, creators);
  effects.log("connection_held", { agency_id: attempt.agencyId });
  const location = returnUrl(
    settings.dashboardUrl,
    attempt.returnTo,
    "confirm",
    nonce,
  );
  return new Response(null, {
    status: 302,
    headers: { ...PRIVATE_HEADERS, location, "set-cookie": cookie },
  });
}

/** Says why Fanvue sent the browser back without a code. */
function declined(word: string, said: string, effects: Effects): Ended {
  if (word === "access_denied") return new Ended("denied");
  if (word !== "invalid_scope") return new Ended("fanvueAway");
  const asked = effects.settings().fanvue.agencyScopes.split(" ");
  // Only what was asked for is repeated, never Fanvue's words.
  const words = new Set(said.split(/[^\w:]+/));
  const named = asked.filter((scope) => words.has(scope));
  return new Ended("scopeNotTicked", named.length > 0 ? named : asked);
}

async function takeAttempt(
  database: DatabaseFunctions,
  stateHash: string,
): Promise<Attempt> {
  // Not repeated when the answer is lost: a second call would find the state used.
  const answer = await database.callAsService("take_connection", {
    p_state_hash: stateHash,
  }).catch((error) => {
    throw refusedWith(error, { 404: "used", 410: "expired" });
  });
  const row = fieldsOf(answer, "take_connection");
  return {
    kind: kindOf(row.kind),
    agencyId: textOf(row, "agency_id"),
    modelId: textOrNull(row, "model_id"),
    accountUuid: textOrNull(row, "creator_uuid")?.toLowerCase() ?? null,
    verifier: textOf(row, "verifier"),
    returnTo: textOrNull(row, "return_to"),
  };
}

function kindOf(kind: unknown): Attempt["kind"] {
  if (kind === "creator" || kind === "agency") return kind;
  throw new DatabaseAway("an answer names no kind of account");
}

async function exchange(
  work: Work,
  attempt: Attempt,
  code: string,
  verifier: string,
): Promise<Grant> {
  const { scopes, agencyScopes } = work.settings.fanvue;
  const asked = attempt.kind === "agency" ? agencyScopes : scopes;
  const grant = await unhurried(
    work,
    () => work.fanvue.exchange(code, verifier, asked),
  );
  const needs = attempt.kind === "agency" ? AGENCY_NEEDS : CREATOR_NEEDS;
  const missing = needs.filter((scope) => !grant.scopes.includes(scope));
  if (grant.refreshToken === null) missing.push(LASTING);
  if (missing.length > 0) throw new Ended("missingScope", missing);
  return grant;
}

/** Asks Fanvue with the fresh token, and again where no answer came. */
async function ask<Result>(
  work: Work,
  question: () => Promise<Result>,
): Promise<Result> {
  try {
    return await unhurried(
      work,
      () => repeat(question, FanvueAway, work.effects),
    );
  } catch (error) {
    if (error instanceof FanvueRefused && error.status === 403) {
      throw new Ended("missingScope");
    }
    // A token minutes old that is refused is Fanvue's trouble, not the creator's.
    throw error instanceof FanvueRefused
      ? new FanvueAway(error.message)
      : error;
  }
}

/** Waits out a short rate limit; a longer one is noted for the operators, and told. */
async function unhurried<Result>(
  { database, effects }: Work,
  question: () => Promise<Result>,
): Promise<Result> {
  for (let tries = 1;; tries++) {
    try {
      return await question();
    } catch (error) {
      if (!(error instanceof FanvueBusy)) throw error;
      if (tries === 1 && error.seconds <= LONGEST_PAUSE_SECONDS) {
        await effects.pause(error.seconds * 1_000);
        continue;
      }
      await database.callAsService("block_bucket", {
        p_bucket: "app",
        p_seconds: error.seconds,
        p_endpoint: error.endpoint,
      }).catch((lost) =>
        effects.log("limit_not_noted", { error: describe(lost) })
      );
      throw error;
    }
  }
}

/** Lists whom an agency's account manages. */
async function managedBy(
  work: Work,
  { grant, account }: Consent,
): Promise<Managed[]> {
  const listed = await ask(work, () => work.fanvue.managed(grant.accessToken));
  // Its own data is not to be had as a creator's of its own.
  const creators = listed.filter(({ uuid }) => uuid !== account.uuid);
  if (account.isCreator === true && creators.length === 0) {
    throw new Ended("creatorAccount");
  }
  return creators;
}

/** Keeps what was granted until the person says yes; returns what this browser alone is given. */
async function hold(
  work: Work,
  { grant, account }: Consent,
  stateHash: string,
  creators: readonly Managed[] | null,
): Promise<{ nonce: string; cookie: string }> {
  const { settings, database, effects } = work;
  const refreshToken = grant.refreshToken ?? "";
  const nonce = makeNonce(effects.randomBytes);
  const nonceHash = await hashNonce(nonce);
  const secret = makeNonce(effects.randomBytes);
  const sealed = (token: string, column: string) =>
    settings.keyring.seal(token, heldToken(nonceHash, column));
  const held = {
    user_uuid: account.uuid,
    handle: account.handle,
    scopes: [...grant.scopes],
    ...(creators === null
      ? {}
      : { creators: creators.map((creator) => ({ ...creator })) }),
    access_token: await sealed(grant.accessToken, "access_token"),
    refresh_token: await sealed(refreshToken, "refresh_token"),
    expires_in_s: grant.expiresInSeconds,
    fingerprint: toHex(await sha256(refreshToken)),
  };
  const browserHash = await hashNonce(secret);
  await repeat(
    () =>
      database.callAsService("hold_connection", {
        p_state_hash: stateHash,
        p_nonce_hash: nonceHash,
        p_browser_hash: browserHash,
        p_held: held,
      }),
    DatabaseAway,
    effects,
  ).catch((error) => {
    throw refusedWith(error, { 404: "changed" });
  });
  const cookie = giveCookie(settings.fanvue.redirectUri, nonceHash, secret);
  return { nonce, cookie };
}
