// Takes Fanvue's deliveries: checks size, signature and age, and answers 200 only after the
// database committed. Where applying one gave no answer, it is stored unapplied by a second call. Holds no state and interprets no event; that is the database function's work.
// Who makes a subscription over Fanvue's API has the address called unsigned first, and is refused
// where that call is: what carries no event and no signature is told that somebody is there, and
// while we make one, whatever is unsigned. What is refused is counted, without its content.

import { type Bytes, decodeUtf8, readAtMost } from "../_shared/bytes.ts";
import {
  DatabaseAway,
  DatabaseRefused,
  Misconfigured,
  SealBroken,
} from "../_shared/errors.ts";
import { describe, type Log } from "../_shared/logs.ts";
import { type Gate, PAUSE_MS, type Refusal, type Registered } from "./gate.ts";
import { judge, type Verdict } from "./signature.ts";
import { toStorable } from "./storable_json.ts";

export const LARGEST_BODY_BYTES = 1024 * 1024;
// Fanvue waits 10 s; the answer has to be on its way before that, also where secrets were asked for.
export const ANSWER_WITHIN_MS = 8_000;
/** What of it is left for storing a delivery that could not be applied. The database gives up applying after 4 s. */
export const STORE_WITHIN_MS = 2_000;
const RETRY_AFTER = { "retry-after": "10" };
const LONGEST_HINT = 200;
const PROBING: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);
const ALLOWED = "POST, GET, HEAD, OPTIONS";
const READY = { status: "ready" };
// What `fanvue-sync webhooks test` and `register` send; whoever forges it is refused all the same.
const OWN_TEST = /"type": ?"fanvue_sync\.test"/;
/** Said of the delivery itself, before it is applied: storing it alone would be refused alike. */
const FINAL: ReadonlySet<string> = new Set(["PT400", "PT403", "PT422"]);
const REFUSED = "signature missing, wrong or too old";
const STATUSES = ["applied", "duplicate", "ignored", "parked"] as const;

export type Status = typeof STATUSES[number];

/** A signed delivery: the payload as storable JSON text, and what unsigned headers say of it. */
export interface Delivery {
  readonly payload: string;
  /** Whose registered webhook signed it; null where a secret of the settings did. */
  readonly vouchedFor: string | null;
  readonly hintId: string | null;
  readonly hintTopic: string | null;
}

export interface Effects {
  /** The signing secrets of the settings, the current one first; may be none. */
  readonly secrets: () => readonly string[];
  readonly gate: Gate;
  /**
   * Commits a delivery within so much time and returns what the database said of it. What is not
   * to be applied is stored alone, and waits for no lock.
   */
  readonly receive: (
    delivery: Delivery,
    withinMs: number,
    apply: boolean,
  ) => Promise<unknown>;
  readonly nowMs: () => number;
  readonly log: Log;
}

/** Answers one delivery. */
export async function handleDelivery(
  request: Request,
  effects: Effects,
): Promise<Response> {
  const startedMs = effects.nowMs();
  if (PROBING.has(request.method)) return json(200, READY);
  if (request.method !== "POST") {
    return refuse(405, "method not allowed", { allow: ALLOWED });
  }
  const body = await readBody(request);
  if (body === "too large") return refuse(413, "larger than 1 MiB");
  if (body === "broken off") return refuse(400, "the body ended too early");
  const header = request.headers.get("x-fanvue-signature");
  if (header === null) {
    if (!isAboutSomething(body) || await isExpected(effects)) {
      return json(200, READY);
    }
    effects.log("webhook_unsigned", { has_header: false });
    count("unsigned", body, effects);
    return refuse(401, REFUSED);
  }
  // A byte order mark is no part of the JSON: it goes before anybody reads it.
  const text = decodeUtf8(body)?.replace(/^\ufeff/, "") ?? null;
  let judged: Judged;
  try {
    judged = await check(header, body, creatorOf(text), startedMs, effects);
  } catch (error) {
    if (!(error instanceof DatabaseAway)) {
      count("not_configured", body, effects);
    }
    return unavailable("webhook_misconfigured", error, effects);
  }
  if (judged.verdict === "not known yet") {
    effects.log("webhook_not_known_yet", {});
    return refuse(503, "not known yet", RETRY_AFTER);
  }
  if (judged.verdict !== "fits") {
    effects.log("webhook_unsigned", { has_header: true });
    count(
      judged.verdict === "too old" ? "too_old" : "wrong_signature",
      body,
      effects,
    );
    return refuse(401, REFUSED);
  }
  const event = readEvent(text);
  if (event === null) {
    effects.log("webhook_no_event", { bytes: body.length });
    return refuse(400, "not a JSON object");
  }

  const delivery: Delivery = {
    payload: event.payload,
    vouchedFor: judged.vouchedFor,
    hintId: hint(request, "x-fanvue-event-id"),
    hintTopic: hint(request, "x-fanvue-topic"),
  };
  const fields = {
    event_id: event.id ?? delivery.hintId,
    topic: event.topic ?? delivery.hintTopic,
  };
  try {
    const answer = await receive(delivery, startedMs, fields, effects);
    const status = statusOf(answer);
    const ms = effects.nowMs() - startedMs;
    // The jobs that come of it bear the same name, in the queue, in history and in the worker's log.
    const cause = `webhook ${nameOf(answer) ?? event.id}`;
    effects.log("webhook_received", { cause, ...fields, status, ms });
    return json(200, { status });
  } catch (error) {
    if (error instanceof DatabaseRefused && error.code === "PT403") {
      effects.log("webhook_of_another", fields);
      count("wrong_signature", body, effects);
      return refuse(401, REFUSED);
    }
    if (error instanceof DatabaseRefused && isAboutTheEvent(error)) {
      effects.log("webhook_refused", { ...fields, code: error.code });
      return refuse(400, "not an event");
    }
    return unavailable("webhook_not_stored", error, effects, fields);
  }
}

/** Has a delivery applied and stored; where that fails, stored: nothing signed depends on applying. */
async function receive(
  delivery: Delivery,
  startedMs: number,
  fields: Record<string, string | null>,
  effects: Effects,
): Promise<unknown> {
  const left = () => ANSWER_WITHIN_MS - (effects.nowMs() - startedMs);
  try {
    const withinMs = Math.max(left() - STORE_WITHIN_MS, 1_000);
    const answer = await effects.receive(delivery, withinMs, true);
    statusOf(answer);
    return answer;
  } catch (error) {
    if (error instanceof DatabaseRefused && FINAL.has(error.code)) throw error;
    effects.log("webhook_not_applied", { ...fields, error: describe(error) });
    return await effects.receive(delivery, Math.max(left(), 1_000), false);
  }
}

/** Counts a refused delivery, unless it is our own question whether deliveries arrive. */
function count(refusal: Refusal, body: Bytes, { gate }: Effects): void {
  if (!OWN_TEST.test(decodeUtf8(body) ?? "")) gate.count(refusal);
}

/** Tells whether unsigned calls are let in, because we are making a subscription just now. */
async function isExpected({ gate }: Effects): Promise<boolean> {
  try {
    return await gate.isRegistering();
  } catch {
    // Nobody can say: what is not known to be expected is not let in.
    return false;
  }
}

interface Judged {
  readonly verdict: Verdict | "not known yet";
  readonly vouchedFor: string | null;
}

/** Tries the secrets of the settings first, then those of registered webhooks. */
async function check(
  header: string,
  body: Bytes,
  creator: string | null,
  arrivedMs: number,
  { secrets, gate }: Effects,
): Promise<Judged> {
  const nowSeconds = Math.floor(arrivedMs / 1000);
  const ours = secrets();
  const verdict = await judge(header, body, ours, nowSeconds);
  if (verdict !== "does not fit") return { verdict, vouchedFor: null };
  let registered = await gate.secretsOf(creator);
  let judged = await judgeRegistered(header, body, registered, nowSeconds);
  if (judged.verdict === "does not fit") {
    // A webhook may have been registered a moment ago.
    registered = await gate.secretsOf(creator, PAUSE_MS);
    judged = await judgeRegistered(header, body, registered, nowSeconds);
  }
  if (judged.verdict !== "does not fit") return judged;
  if (ours.length === 0 && !registered.hasAny) {
    throw new Misconfigured(
      "FANVUE_WEBHOOK_SECRETS is not set, and no webhook is registered",
    );
  }
  // What a secret that does not open has signed nobody can tell: the sender comes again.
  if (registered.failure !== null) throw registered.failure;
  // Nor what one has signed that was registered since we asked: refused, it might not be repeated.
  return registered.mayMissOne(arrivedMs)
    ? { verdict: "not known yet", vouchedFor: null }
    : judged;
}

/** Whether a registered secret signed it, and whose it is. */
async function judgeRegistered(
  header: string,
  body: Bytes,
  { secrets }: Registered,
  nowSeconds: number,
): Promise<Judged> {
  for (const { creator, secret } of secrets) {
    const verdict = await judge(header, body, [secret], nowSeconds);
    if (verdict !== "does not fit") return { verdict, vouchedFor: creator };
  }
  return { verdict: "does not fit", vouchedFor: null };
}

/**
 * The creator whom a body seems to name, signed or not, in lower case: whose secrets are tried.
 * Whose event it is the database says.
 */
function creatorOf(text: string | null): string | null {
  try {
    const { data, recipientUuid } = JSON.parse(text ?? "");
    const named = data?.creator?.uuid ?? data?.creator_uuid ?? recipientUuid;
    return typeof named === "string" ? named.toLowerCase() : null;
  } catch {
    return null;
  }
}

async function readBody(
  request: Request,
): Promise<Bytes | "too large" | "broken off"> {
  const announced = Number(request.headers.get("content-length") ?? 0);
  if (announced > LARGEST_BODY_BYTES) return "too large";
  try {
    return await readAtMost(request.body, LARGEST_BODY_BYTES) ?? "too large";
  } catch {
    return "broken off";
  }
}

interface Event {
  readonly payload: string;
  readonly id: string | null;
  readonly topic: string | null;
}

function readEvent(text: string | null): Event | null {
  if (text === null) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return null;
  }
  const payload = toStorable(text);
  if (payload === null) return null;
  const { id, type } = value as { id?: unknown; type?: unknown };
  return {
    payload,
    id: typeof id === "string" ? id : null,
    topic: typeof type === "string" ? type : null,
  };
}

/** Whether an unsigned body claims to be an event, of either family. */
function isAboutSomething(body: Bytes): boolean {
  const text = decodeUtf8(body);
  if (text === null) return body.length > 0;
  return /"(type|recipientUuid)"/.test(text);
}

function hint(request: Request, name: string): string | null {
  const text = request.headers.get(name)?.trim();
  return text ? text.slice(0, LONGEST_HINT) : null;
}

/** The name that the database gave an event without a usable id of its own. */
function nameOf(answer: unknown): string | null {
  const name = (answer as { event_id?: unknown } | null)?.event_id;
  return typeof name === "string" ? name : null;
}

function statusOf(answer: unknown): Status {
  const status = (answer as { status?: unknown } | null)?.status;
  const known = STATUSES.find((name) => name === status);
  // Without a known status nobody knows whether it was stored; sent again, nothing is counted twice.
  if (known === undefined) {
    throw new TypeError("receive_webhook_event answered without a status");
  }
  return known;
}

/** Refusals of the data itself will be the same at every retry; all others may pass. */
function isAboutTheEvent(refusal: DatabaseRefused): boolean {
  return refusal.code === "PT400" || refusal.code === "PT422" ||
    refusal.code.startsWith("22");
}

function unavailable(
  event: string,
  error: unknown,
  effects: Effects,
  fields: Record<string, string | null> = {},
): Response {
  effects.log(event, { ...fields, error: describe(error) });
  const why = error instanceof Misconfigured || error instanceof SealBroken
    ? "not configured yet"
    : "not stored yet";
  return refuse(503, why, RETRY_AFTER);
}

function refuse(
  status: number,
  error: string,
  headers: Record<string, string> = {},
): Response {
  return json(status, { error }, headers);
}

function json(
  status: number,
  body: Record<string, string>,
  headers: Record<string, string> = {},
): Response {
  return Response.json(body, {
    status,
    headers: { "cache-control": "no-store", ...headers },
  });
}
