// One request for an agency's figures: who asks, for what, and how each ending is said. Nothing
// here names a fact of an agency that the caller does not belong to. Egress is paid by the byte:
// figures go compressed to whoever takes them so, and whoever has them is told no more than that.

import {
  DatabaseAway,
  DatabaseRefused,
  Misconfigured,
} from "../_shared/errors.ts";
import { describe, type Log } from "../_shared/logs.ts";
import { type Question, readQuestion } from "./question.ts";
import type { Answer } from "./reader.ts";

export interface Effects {
  /** Answers as the user whose token this is. */
  readonly read: (token: string, question: Question) => Promise<Answer>;
  readonly log: Log;
}

const USER_TOKEN = /^Bearer\s+([\w-]+\.[\w-]+\.[\w-]+)$/i;
const METHODS = "GET, OPTIONS";
// The stamp of the figures that the caller has: a header, because a browser asks first about each address.
const KNOWN_STAMP = "x-known-stamp";
const WORTH_COMPRESSING = 1_000;
// Named, and not with the quality that refuses it.
const GZIP = /\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/i;

// A token in a header is no ambient right, so any page may ask; its own origin protects the token.
const CORS_HEADERS = {
  "access-control-allow-origin": "*",
  "access-control-expose-headers": "x-cache",
};
const PREFLIGHT_HEADERS = {
  ...CORS_HEADERS,
  "access-control-allow-methods": METHODS,
  "access-control-allow-headers":
    `accept, apikey, authorization, content-type, x-client-info, ${KNOWN_STAMP}`,
  "access-control-max-age": "3600",
};
const PRIVATE_HEADERS = {
  "cache-control": "private, no-store",
  "strict-transport-security": "max-age=31536000",
  "x-content-type-options": "nosniff",
};

/** Answers one request. */
export async function handle(
  request: Request,
  effects: Effects,
): Promise<Response> {
  if (request.method === "OPTIONS") {
    return new Response(null, { status: 204, headers: PREFLIGHT_HEADERS });
  }
  if (request.method !== "GET") {
    return refuse(405, "method not allowed", "send a GET request", {
      allow: METHODS,
    });
  }
  const token = USER_TOKEN.exec(request.headers.get("authorization") ?? "")
    ?.[1];
  if (token === undefined) return refuseToken();
  const question = readQuestion(
    new URL(request.url).searchParams,
    request.headers.get(KNOWN_STAMP),
  );
  if ("error" in question) return refuse(400, question.error, question.hint);
  try {
    const { stats, cache } = await effects.read(token, question);
    return compress(
      request,
      JSON.stringify(stats),
      { ...PRIVATE_HEADERS, ...CORS_HEADERS, "x-cache": cache },
    );
  } catch (error) {
    return explain(error, question, effects);
  }
}

function compress(
  request: Request,
  text: string,
  headers: Record<string, string>,
): Response {
  headers = {
    ...headers,
    "content-type": "application/json",
    vary: "accept-encoding",
  };
  const taken = request.headers.get("accept-encoding") ?? "";
  if (text.length < WORTH_COMPRESSING || !GZIP.test(taken)) {
    return new Response(text, { headers });
  }
  const body = new Blob([text]).stream().pipeThrough(
    new CompressionStream("gzip"),
  );
  return new Response(body, {
    headers: { ...headers, "content-encoding": "gzip" },
  });
}

function explain(
  error: unknown,
  question: Question,
  effects: Effects,
): Response {
  const status = error instanceof DatabaseRefused ? error.status : null;
  effects.log("stats_not_read", {
    agency_id: question.agencyId,
    error: describe(error),
  });
  switch (status) {
    case 400:
      return refuse(
        400,
        "the database does not take this range",
        "send from and to as YYYY-MM-DD, at most 1,100 days",
      );
    case 401:
      return refuseToken();
    case 403:
      return refuse(
        403,
        "not a member of this agency",
        "ask its owner to add you, or choose an agency of yours",
      );
  }
  if (error instanceof DatabaseAway) {
    return refuseForNow("the database gave no answer", "try again in a moment");
  }
  return error instanceof Misconfigured
    ? refuseForNow(
      "this service is not set up completely",
      "ask whoever runs it to look into the log of dashboard-stats",
    )
    : refuseForNow("the figures could not be read", "try again in a moment");
}

function refuseToken(): Response {
  return refuse(
    401,
    "your access token is missing or not valid (any more)",
    "sign in again and send the token in the Authorization header",
    { "www-authenticate": "Bearer" },
  );
}

function refuseForNow(error: string, hint: string): Response {
  return refuse(503, error, hint, { "retry-after": "5" });
}

function refuse(
  status: number,
  error: string,
  hint: string,
  headers: Record<string, string> = {},
): Response {
  return Response.json({ error, hint }, {
    status,
    headers: { ...PRIVATE_HEADERS, ...CORS_HEADERS, ...headers },
  });
}
