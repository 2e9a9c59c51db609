// Builds signed deliveries and takes them in: what stands for the database notes what it is given.

import { encodeUtf8, toHex } from "../_shared/bytes.ts";
import { Misconfigured } from "../_shared/errors.ts";
import type { Fields } from "../_shared/logs.ts";
import {
  type Counts,
  Gate,
  MOST_TRIED,
  type Report,
} from "../fanvue-webhook/gate.ts";
import {
  type Delivery,
  type Effects,
  handleDelivery,
} from "../fanvue-webhook/handler.ts";

export const CREATOR = "7c1f0b52-9a44-4d0e-8a53-2f6f1f0f7a01";
export const OTHER = "7c1f0b52-9a44-4d0e-8a53-2f6f1f0f7a02";
export const OWN = "made-up-secret-of-a-registered-webhook";
export const SECRET = "made-up-current-secret";
export const NOW_SECONDS = 1_795_209_246;
export const EVENT =
  '{"id":"e1","type":"creator.follow.created","timestamp":"2026-11-20T21:14:06.010Z","data":{"object":"follow"}}';

export async function sign(
  body: string | Uint8Array,
  timestamp: number | string = NOW_SECONDS,
  secret: string = SECRET,
): Promise<string> {
  const bytes = typeof body === "string" ? encodeUtf8(body) : body;
  const key = await crypto.subtle.importKey(
    "raw",
    encodeUtf8(secret),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  const message = new Uint8Array([...encodeUtf8(`${timestamp}.`), ...bytes]);
  const digest = await crypto.subtle.sign("HMAC", key, message);
  return `t=${timestamp},v0=${toHex(new Uint8Array(digest))}`;
}

export function deliver(
  body: BodyInit | null,
  headers: Record<string, string> = {},
): Request {
  return new Request("http://127.0.0.1/fanvue-webhook", {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body,
  });
}

export async function signed(
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Promise<Request> {
  return deliver(body, {
    "x-fanvue-signature": await sign(body),
    ...headers,
  });
}

/** What the database knows of registered webhooks, and what it was told. */
export class Registrations {
  registering = false;
  /** For whom Fanvue is being asked for a subscription. */
  awaited: string | null = null;
  secrets: { id: string; creator: string; sealed: string }[] = [];
  failure: Error | null = null;
  /** About whom was asked. */
  readonly asked: (string | null)[] = [];
  readonly told: Report[] = [];

  /** Registers a webhook; sealed here is the secret after its place. */
  add(id: string, creator: string, secret: string): void {
    const sealed = `webhook_subscriptions:${id}:secret/${secret}`;
    this.secrets.push({ id, creator, sealed });
  }

  tell(report: Report): Promise<unknown> {
    this.told.push(report);
    return this.failure === null
      ? Promise.resolve({})
      : Promise.reject(this.failure);
  }

  ask(creator: string | null): Promise<unknown> {
    this.asked.push(creator);
    if (this.failure !== null) return Promise.reject(this.failure);
    const secrets = creator === null
      ? this.secrets.slice(0, MOST_TRIED + 1)
      : this.secrets.filter((one) => one.creator === creator);
    return Promise.resolve({
      registering: this.registering,
      awaited: creator !== null && this.awaited === creator,
      any: this.secrets.length > 0,
      secrets,
    });
  }

  /** What was told of refused deliveries, all together; each report once. */
  get refused(): Counts {
    const sum: Counts = {};
    const reports = new Map(this.told.map((report) => [report.id, report]));
    for (const { refused } of reports.values()) {
      for (const [name, count] of Object.entries(refused)) {
        const key = name as keyof Counts;
        sum[key] = (sum[key] ?? 0) + count;
      }
    }
    return sum;
  }
}

/** The receiver with everything around it replaced by what a test decides and reads. */
export class Receiver {
  secrets: readonly string[] = [SECRET];
  nowSeconds = NOW_SECONDS;
  answer: () => Promise<unknown> = () => Promise.resolve({ status: "applied" });
  readonly received: Delivery[] = [];
  readonly withinMs: number[] = [];
  /** What storing alone answers, where applying gave no answer; by default, the same. */
  store: (() => Promise<unknown>) | null = null;
  readonly stored: Delivery[] = [];
  readonly logged: { event: string; fields: Fields }[] = [];
  readonly registrations = new Registrations();
  /** Work that goes on after an answer; a pause in it lasts until the test lets it end. */
  readonly background: Promise<void>[] = [];
  #endPause: () => void = () => {};
  #isSettling = false;
  readonly gate: Gate = new Gate({
    ask: (creator) => this.registrations.ask(creator),
    tell: (report) => this.registrations.tell(report),
    open: (sealed, place) => {
      const [stored, secret] = sealed.split("/");
      if (stored !== place || secret === undefined) {
        return Promise.reject(new Misconfigured("a key is missing"));
      }
      return Promise.resolve(secret);
    },
    nowMs: () => this.nowSeconds * 1000,
    pause: (ms) => {
      if (!this.#isSettling) {
        return new Promise((resolve) => this.#endPause = resolve);
      }
      this.nowSeconds += ms / 1000;
      return Promise.resolve();
    },
    background: (work) => this.background.push(work),
    log: (event, fields) => this.logged.push({ event, fields }),
  });

  get effects(): Effects {
    return {
      secrets: () => this.secrets,
      gate: this.gate,
      receive: (delivery, withinMs, apply) => {
        (apply ? this.received : this.stored).push(delivery);
        this.withinMs.push(withinMs);
        return apply ? this.answer() : (this.store ?? this.answer)();
      },
      nowMs: () => this.nowSeconds * 1000,
      log: (event, fields) => this.logged.push({ event, fields }),
    };
  }

  take(request: Request): Promise<Response> {
    return handleDelivery(request, this.effects);
  }

  /** Lets what goes on in the background come to its end, and time pass where it pauses again. */
  async settle(): Promise<void> {
    this.#isSettling = true;
    this.#endPause();
    await Promise.all(this.background);
    this.#isSettling = false;
  }
}

export function about(creator: string | null, more = ""): string {
  const data = creator === null ? {} : { creator: { uuid: creator } };
  return JSON.stringify({ id: `e1${more}`, type: "creator.x", data });
}

export async function delivery(
  body: string,
  secret: string,
  at = NOW_SECONDS,
): Promise<Request> {
  return deliver(body, { "x-fanvue-signature": await sign(body, at, secret) });
}

export function registered(): Receiver {
  const receiver = new Receiver();
  receiver.registrations.add("s1", CREATOR, OWN);
  return receiver;
}

export async function statusOf(
  receiver: Receiver,
  request: Promise<Request>,
): Promise<number> {
  return (await receiver.take(await request)).status;
}
