// What the two addresses for scripts share: who asks, and refusals as JSON.

import { DatabaseRefused, Misconfigured } from "../_shared/errors.ts";
import { describe } from "../_shared/logs.ts";
import type { Effects } from "./effects.ts";
import { PRIVATE_HEADERS } from "./pages.ts";

const USER_TOKEN = /^Bearer\s+([\w-]+\.[\w-]+\.[\w-]+)$/i;

// A token in a header is no ambient right, so any page may ask; its own origin protects the token.
export const CORS_HEADERS = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "GET",
  "access-control-allow-headers":
    "accept, apikey, authorization, content-type, x-client-info",
  "access-control-max-age": "3600",
};

/** Answers a browser that asks first. */
export function allowScripts(): Response {
  return new Response(null, { status: 204, headers: CORS_HEADERS });
}

/** Returns the caller's access token; whether it is good, the database says. */
export function userToken(request: Request): string | null {
  return USER_TOKEN.exec(request.headers.get("authorization") ?? "")?.[1] ??
    null;
}

export function refuseStranger(): Response {
  return refuse(401, "send your access token in the Authorization header");
}

/** Says what went wrong, in words for whoever pressed the button. */
export function explain(
  error: unknown,
  effects: Effects,
  event: string,
): Response {
  const refusal = error instanceof DatabaseRefused ? error : null;
  effects.log(event, { error: describe(error) });
  switch (refusal?.status) {
    case 401:
      return refuse(
        401,
        "your access token is not valid (any more): sign in again",
      );
    case 403:
      return refuse(403, "this user may not connect accounts");
    case 404:
      return refuse(404, "no such agency, account or connection among yours");
    case 409:
      return refuse(409, "the account is connected by another agency");
    case 410:
      return refuse(410, "this took too long: connect the account again");
    case 429:
      return refuse(
        429,
        "too many connections were begun: try again in an hour",
      );
  }
  return error instanceof Misconfigured
    ? refuse(503, "this service is not set up completely")
    : refuse(503, "the database gave no answer: try again in a minute");
}

export function refuse(status: number, error: string): Response {
  return Response.json({ error }, {
    status,
    headers: {
      ...PRIVATE_HEADERS,
      ...CORS_HEADERS,
      ...(status === 401 ? { "www-authenticate": "Bearer" } : {}),
      ...(status === 503 ? { "retry-after": "60" } : {}),
    },
  });
}
