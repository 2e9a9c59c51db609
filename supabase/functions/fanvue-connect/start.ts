// `/start`: a member of an agency begins to connect a creator. The database decides, as the
// caller, whether they may; only then is the browser sent to Fanvue.

import { DatabaseRefused, Misconfigured } from "../_shared/errors.ts";
import { describe } from "../_shared/logs.ts";
import { connectionVerifier } from "../_shared/sealing.ts";
import { consentUrl, hashState, makeSecrets } from "./consent.ts";
import { databaseOf, type Effects } from "./effects.ts";
import { PRIVATE_HEADERS } from "./pages.ts";
import { safePath } from "./return_path.ts";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const USER_TOKEN = /^Bearer\s+([\w-]+\.[\w-]+\.[\w-]+)$/i;

// A token in a header is no ambient right, so any page may ask; its own origin protects the token.
const CORS_HEADERS = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "GET",
  "access-control-allow-headers":
    "accept, apikey, authorization, content-type, x-client-info",
  "access-control-max-age": "3600",
};

/** Answers a browser that asks first. */
export function allowStart(): Response {
  return new Response(null, { status: 204, headers: CORS_HEADERS });
}

/** Sends the caller's browser to Fanvue, or tells the address where JSON is asked for. */
export async function start(
  request: Request,
  effects: Effects,
): Promise<Response> {
  const query = new URL(request.url).searchParams;
  const token = USER_TOKEN.exec(request.headers.get("authorization") ?? "")
    ?.[1];
  if (token === undefined) {
    return refuse(401, "send your access token in the Authorization header");
  }
  const agencyId = query.get("agency_id") ?? "";
  const modelId = query.get("model_id") || null;
  if (!UUID.test(agencyId)) return refuse(400, "agency_id must be a UUID");
  if (modelId !== null && !UUID.test(modelId)) {
    return refuse(400, "model_id must be a UUID");
  }
  try {
    const url = await begin(effects, token, {
      agencyId,
      modelId,
      returnTo: safePath(query.get("return_to")),
    });
    effects.log("connect_started", { agency_id: agencyId, model_id: modelId });
    return sendTo(url, request);
  } catch (error) {
    return explain(error, effects);
  }
}

interface Attempt {
  readonly agencyId: string;
  readonly modelId: string | null;
  readonly returnTo: string;
}

async function begin(
  effects: Effects,
  token: string,
  attempt: Attempt,
): Promise<string> {
  const settings = effects.settings();
  const secrets = makeSecrets(effects.randomBytes);
  const stateHash = await hashState(secrets.state);
  await databaseOf(settings, effects).callAsUser(token, "begin_connection", {
    p_agency_id: attempt.agencyId,
    p_model_id: attempt.modelId,
    p_state_hash: stateHash,
    p_verifier: await settings.keyring.seal(
      secrets.verifier,
      connectionVerifier(stateHash),
    ),
    p_return_to: attempt.returnTo,
  });
  return await consentUrl(settings.fanvue, secrets);
}

function sendTo(url: string, request: Request): Response {
  const headers = { ...PRIVATE_HEADERS, ...CORS_HEADERS };
  // A script cannot read where a redirect to another origin leads.
  return request.headers.get("accept")?.includes("application/json")
    ? Response.json({ url }, { headers })
    : new Response(null, {
      status: 302,
      headers: { ...headers, location: url },
    });
}

function explain(error: unknown, effects: Effects): Response {
  const refusal = error instanceof DatabaseRefused ? error : null;
  effects.log("connect_not_started", { error: describe(error) });
  switch (refusal?.status) {
    case 401:
      return refuse(
        401,
        "your access token is not valid (any more): sign in again",
      );
    case 403:
      return refuse(403, "this user may not connect accounts");
    case 404:
      return refuse(404, "no such agency or model among yours");
  }
  return error instanceof Misconfigured
    ? refuse(503, "this service is not set up completely")
    : refuse(503, "the database gave no answer: try again in a minute");
}

function refuse(status: number, error: string): Response {
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
