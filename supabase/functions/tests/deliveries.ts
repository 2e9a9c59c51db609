// Builds signed deliveries and takes them in: what stands for the database notes what it is given.

import { encodeUtf8, toHex } from "../_shared/bytes.ts";
import type { Fields } from "../_shared/logs.ts";
import {
  type Delivery,
  type Effects,
  handleDelivery,
} from "../fanvue-webhook/handler.ts";

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

/** The receiver with everything around it replaced by what a test decides and reads. */
export class Receiver {
  secrets: readonly string[] = [SECRET];
  nowSeconds = NOW_SECONDS;
  answer: () => Promise<unknown> = () => Promise.resolve({ status: "applied" });
  readonly received: Delivery[] = [];
  readonly logged: { event: string; fields: Fields }[] = [];

  get effects(): Effects {
    return {
      secrets: () => this.secrets,
      receive: (delivery) => {
        this.received.push(delivery);
        return this.answer();
      },
      nowMs: () => this.nowSeconds * 1000,
      log: (event, fields) => this.logged.push({ event, fields }),
    };
  }

  take(request: Request): Promise<Response> {
    return handleDelivery(request, this.effects);
  }
}
