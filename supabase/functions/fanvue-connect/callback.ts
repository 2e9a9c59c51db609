// `/callback`: the browser comes back from Fanvue. The state is used up first, every check comes
// before the first write, and both tokens are sealed before they leave this process.
//
// The state is not tied to the browser that began: agencies send creators the address to consent
// at. It is tied to the agency and, where one was named, to the creator's account.

import type { DatabaseFunctions } from "../_shared/database.ts";
import {
  DatabaseAway,
  DatabaseRefused,
  FanvueAway,
  FanvueRefused,
} from "../_shared/errors.ts";
import { describe } from "../_shared/logs.ts";
import { connectionVerifier, modelColumn } from "../_shared/sealing.ts";
import { hashState, isState } from "./consent.ts";
import { databaseOf, type Effects } from "./effects.ts";
import { type Creator, Fanvue, type Grant } from "./fanvue.ts";
import { type PageName, PRIVATE_HEADERS, showPage } from "./pages.ts";
import { returnUrl } from "./return_path.ts";
import type { Settings } from "./settings.ts";

const NEEDED_SCOPES = ["read:self", "read:insights"];
const REPEAT_AFTER_MS = [250, 1_000];
const ERROR_WORD = /^[a-z_]{1,64}$/;

/** What was noted when the connection began. */
interface Attempt {
  readonly agencyId: string;
  readonly modelId: string | null;
  readonly creatorUuid: string | null;
  readonly verifier: string;
  readonly returnTo: string | null;
}

/** Ends the connection with a page instead of a stored grant. */
class Ended extends Error {
  constructor(readonly page: PageName) {
    super(page);
  }
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
    effects.log("connect_ended", {
      page,
      error: error instanceof Ended ? null : describe(error),
    });
    return showPage(page, effects.dashboardUrl());
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
    throw new Ended(word === "access_denied" ? "denied" : "fanvueAway");
  }
  const state = query.get("state") ?? "";
  const code = query.get("code") ?? "";
  if (!isState(state) || code === "") throw new Ended("incomplete");

  const settings = effects.settings();
  const database = databaseOf(settings, effects);
  const stateHash = await hashState(state);
  const attempt = await takeAttempt(database, stateHash);
  const verifier = await settings.keyring.open(
    attempt.verifier,
    connectionVerifier(stateHash),
  );
  const fanvue = new Fanvue(settings.fanvue, effects.fetch);
  const grant = await exchange(fanvue, code, verifier);
  const creator = await whoIs(fanvue, grant, effects);
  if (attempt.creatorUuid !== null && attempt.creatorUuid !== creator.uuid) {
    throw new Ended("wrongAccount");
  }

  const modelId = await store({ settings, database, effects }, {
    attempt,
    grant,
    creator,
  });
  effects.log("connected", { agency_id: attempt.agencyId, model_id: modelId });
  if (settings.dashboardUrl === null) return showPage("connected", null);
  const location = returnUrl(settings.dashboardUrl, attempt.returnTo, modelId);
  return new Response(null, {
    status: 302,
    headers: { ...PRIVATE_HEADERS, location },
  });
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
    agencyId: textOf(row, "agency_id"),
    modelId: textOrNull(row, "model_id"),
    creatorUuid: textOrNull(row, "creator_uuid")?.toLowerCase() ?? null,
    verifier: textOf(row, "verifier"),
    returnTo: textOrNull(row, "return_to"),
  };
}

async function exchange(
  fanvue: Fanvue,
  code: string,
  verifier: string,
): Promise<Grant> {
  const grant = await fanvue.exchange(code, verifier);
  const isEnough = NEEDED_SCOPES.every((scope) => grant.scopes.includes(scope));
  if (!isEnough || grant.refreshToken === null) throw new Ended("missingScope");
  return grant;
}

async function whoIs(
  fanvue: Fanvue,
  grant: Grant,
  effects: Effects,
): Promise<Creator> {
  try {
    return await repeat(
      () => fanvue.whoIs(grant.accessToken),
      FanvueAway,
      effects,
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

async function store(
  { settings, database, effects }: {
    settings: Settings;
    database: DatabaseFunctions;
    effects: Effects;
  },
  { attempt, grant, creator }: {
    attempt: Attempt;
    grant: Grant;
    creator: Creator;
  },
): Promise<string> {
  const connected = await repeat(
    () =>
      database.callAsService("connect_model", {
        p_agency: attempt.agencyId,
        p_creator_uuid: creator.uuid,
        p_handle: creator.handle,
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

/** Repeats an idempotent call whose answer was lost, twice at most. */
async function repeat<Result>(
  call: () => Promise<Result>,
  lost: typeof DatabaseAway | typeof FanvueAway,
  effects: Effects,
): Promise<Result> {
  for (const ms of REPEAT_AFTER_MS) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof lost)) throw error;
      await effects.pause(ms);
    }
  }
  return await call();
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
  if (error instanceof FanvueAway) return "fanvueAway";
  if (error instanceof FanvueRefused) {
    return error.word === "invalid_grant" ? "refused" : "misconfigured";
  }
  if (error instanceof DatabaseAway) return "databaseAway";
  // Wrong settings, a key that is gone, a right that is missing: for whoever reads the log.
  return "misconfigured";
}

type Row = Readonly<Record<string, unknown>>;

function fieldsOf(answer: unknown, name: string): Row {
  if (typeof answer === "object" && answer !== null) return answer as Row;
  throw new DatabaseAway(`${name} answered without fields`);
}

function textOf(row: Row, name: string): string {
  const text = textOrNull(row, name);
  if (text === null) throw new DatabaseAway(`an answer lacks ${name}`);
  return text;
}

function textOrNull(row: Row, name: string): string | null {
  const value = row[name];
  return typeof value === "string" ? value : null;
}

function numberOf(row: Row, name: string): number {
  const value = row[name];
  if (typeof value !== "number") {
    throw new DatabaseAway(`an answer lacks ${name}`);
  }
  return value;
}
