// `/callback`: the browser comes back from Fanvue. The state is used up first, every check comes
// before the first write, and both tokens are sealed before they leave this process. A creator's
// grant is stored; that of an agency's account is held until who began it confirms it (`/confirm`).
//
// The state is not tied to the browser that began: agencies send creators the address to consent
// at. It is tied to the agency and, where one was named, to the creator's account.

import type { DatabaseFunctions } from "../_shared/database.ts";
import { sha256, toHex } from "../_shared/bytes.ts";
import {
  DatabaseAway,
  DatabaseRefused,
  FanvueAway,
  FanvueBusy,
  FanvueRefused,
  Misconfigured,
} from "../_shared/errors.ts";
import { describe } from "../_shared/logs.ts";
import {
  connectionVerifier,
  heldToken,
  modelColumn,
} from "../_shared/sealing.ts";
import {
  fieldsOf,
  numberOf,
  repeat,
  textOf,
  textOrNull,
} from "./database_answers.ts";
import { hashNonce, isNonce, makeNonce } from "./consent.ts";
import { databaseOf, type Effects } from "./effects.ts";
import { type Account, Fanvue, type Grant } from "./fanvue.ts";
import { type PageName, PRIVATE_HEADERS, showPage } from "./pages.ts";
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

/** Ends the connection with a page instead of a stored grant. */
class Ended extends Error {
  constructor(
    readonly page: PageName,
    readonly scopes: readonly string[] = [],
  ) {
    super(page);
  }
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

/** Finishes a connection and sends the browser back to the dashboard. */
export async function callback(
  request: Request,
  effects: Effects,
): Promise<Response> {
  try {
    return await finish(new URL(request.url).searchParams, effects);
  } catch (error) {
    const page = pageFor(error);
    const scopes = error instanceof Ended ? error.scopes : [];
    effects.log("connect_ended", {
      page,
      scopes: scopes.join(" "),
      error: error instanceof Ended ? null : describe(error),
    });
    const seconds = error instanceof FanvueBusy ? error.seconds : null;
    return showPage(page, effects.dashboardUrl(), { scopes, seconds });
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
  if (attempt.kind === "agency") {
    if (settings.dashboardUrl === null) {
      throw new Misconfigured("DASHBOARD_URL is not set any more");
    }
    const nonce = await hold(work, consent, stateHash);
    effects.log("connection_held", { agency_id: attempt.agencyId });
    return backTo(settings.dashboardUrl, attempt.returnTo, "confirm", nonce);
  }
  if (account.isCreator === false) throw new Ended("managerAccount");
  const modelId = await store(work, consent);
  effects.log("connected", { agency_id: attempt.agencyId, model_id: modelId });
  return backTo(settings.dashboardUrl, attempt.returnTo, "connected", modelId);
}

function backTo(
  dashboardUrl: string | null,
  path: string | null,
  name: "connected" | "confirm",
  value: string,
): Response {
  if (dashboardUrl === null) return showPage("connected", null);
  const location = returnUrl(dashboardUrl, path, name, value);
  return new Response(null, {
    status: 302,
    headers: { ...PRIVATE_HEADERS, location },
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
    if (!(error instanceof DatabaseRefused)) throw error;
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

/**
 * Keeps what an agency's account granted until who began it has seen it and says yes. Returns the
 * nonce to confirm it by: whoever sent the consent's address knows the state, only the browser that
 * consented gets the nonce.
 */
async function hold(
  work: Work,
  { grant, account }: Consent,
  stateHash: string,
): Promise<string> {
  const { settings, database, fanvue, effects } = work;
  const listed = await ask(work, () => fanvue.managed(grant.accessToken));
  // Its own data is not to be had as a creator's of its own.
  const creators = listed.filter(({ uuid }) => uuid !== account.uuid);
  if (account.isCreator === true && creators.length === 0) {
    throw new Ended("creatorAccount");
  }
  const refreshToken = grant.refreshToken ?? "";
  const nonce = makeNonce(effects.randomBytes);
  const nonceHash = await hashNonce(nonce);
  const sealed = (token: string, column: string) =>
    settings.keyring.seal(token, heldToken(nonceHash, column));
  const held = {
    user_uuid: account.uuid,
    handle: account.handle,
    scopes: [...grant.scopes],
    creators: creators.map((creator) => ({ ...creator })),
    access_token: await sealed(grant.accessToken, "access_token"),
    refresh_token: await sealed(refreshToken, "refresh_token"),
    expires_in_s: grant.expiresInSeconds,
    fingerprint: toHex(await sha256(refreshToken)),
  };
  await repeat(
    () =>
      database.callAsService("hold_connection", {
        p_state_hash: stateHash,
        p_nonce_hash: nonceHash,
        p_held: held,
      }),
    DatabaseAway,
    effects,
  ).catch((error) => {
    throw refusedWith(error, { 404: "changed" });
  });
  return nonce;
}

async function store(
  { settings, database, effects }: Work,
  { attempt, grant, account }: Consent,
): Promise<string> {
  const connected = await repeat(
    () =>
      database.callAsService("connect_model", {
        p_agency: attempt.agencyId,
        p_creator_uuid: account.uuid,
        p_handle: account.handle,
        p_replace: true,
        p_model_id: attempt.modelId,
      }),
    DatabaseAway,
    effects,
  ).catch((error) => {
    throw refusedWith(error, { 409: "elsewhere", 412: "wrongAccount" });
  });
  const row = fieldsOf(connected, "connect_model");
  const modelId = textOf(row, "model_id");
  if (attempt.modelId !== null && attempt.modelId !== modelId) {
    throw new Ended("wrongAccount");
  }

  // Sealed once: repeated with the same texts, a stored grant is recognised as stored.
  const [access, refresh] = await Promise.all([
    settings.keyring.seal(
      grant.accessToken,
      modelColumn(modelId, "fanvue_access_token"),
    ),
    settings.keyring.seal(
      grant.refreshToken ?? "",
      modelColumn(modelId, "fanvue_refresh_token"),
    ),
  ]);
  await repeat(
    () =>
      database.callAsService("store_grant", {
        p_model_id: modelId,
        p_version: numberOf(row, "token_version"),
        p_access_token: access,
        p_refresh_token: refresh,
        p_expires_in_s: grant.expiresInSeconds,
      }),
    DatabaseAway,
    effects,
  ).catch((error) => {
    throw refusedWith(error, { 404: "changed", 409: "changed" });
  });
  return modelId;
}

function refusedWith(
  error: unknown,
  pages: Readonly<Record<number, PageName>>,
): unknown {
  const page = error instanceof DatabaseRefused
    ? pages[error.status]
    : undefined;
  return page === undefined ? error : new Ended(page);
}

function pageFor(error: unknown): PageName {
  if (error instanceof Ended) return error.page;
  if (error instanceof FanvueBusy) return "fanvueBusy";
  if (error instanceof FanvueAway) return "fanvueAway";
  if (error instanceof FanvueRefused) {
    return error.word === "invalid_grant" ? "refused" : "misconfigured";
  }
  if (error instanceof DatabaseAway) return "databaseAway";
  // Wrong settings, a key that is gone, a right that is missing: for whoever reads the log.
  return "misconfigured";
}
