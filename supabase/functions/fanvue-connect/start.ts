// `/start`: an owner or admin of an agency begins to connect a creator or the agency's own account
// (`as=agency`), with their access token; or a creator does, by a link that one of those made
// (`invitation=…`). The database decides whether they may; only then is the browser sent to Fanvue.

import { connectionVerifier } from "../_shared/sealing.ts";
import {
  CORS_HEADERS,
  explain,
  refuse,
  refuseStranger,
  userToken,
} from "./script_answers.ts";
import { consentUrl, hashNonce, makeSecrets } from "./consent.ts";
import { databaseOf, type Effects } from "./effects.ts";
import { endWith, refusedWith } from "./ended.ts";
import { PRIVATE_HEADERS } from "./pages.ts";
import { safePath } from "./return_path.ts";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Sends the caller's browser to Fanvue, or tells the address where JSON is asked for. */
export async function start(
  request: Request,
  effects: Effects,
): Promise<Response> {
  const query = new URL(request.url).searchParams;
  const invitation = query.get("invitation");
  if (invitation !== null) return await startByLink(invitation, effects);
  const token = userToken(request);
  if (token === null) return refuseStranger();
  const agencyId = query.get("agency_id") ?? "";
  const modelId = query.get("model_id") || null;
  const connectionId = query.get("connection_id") || null;
  const as = query.get("as") || "creator";
  if (!UUID.test(agencyId)) return refuse(400, "agency_id must be a UUID");
  if (modelId !== null && !UUID.test(modelId)) {
    return refuse(400, "model_id must be a UUID");
  }
  if (connectionId !== null && !UUID.test(connectionId)) {
    return refuse(400, "connection_id must be a UUID");
  }
  if (as !== "creator" && as !== "agency") {
    return refuse(400, "as must be creator or agency");
  }
  if (as === "agency" ? modelId !== null : connectionId !== null) {
    return refuse(
      400,
      "model_id is for a creator, connection_id for the agency",
    );
  }
  try {
    const url = await begin(effects, token, {
      agencyId,
      modelId,
      connectionId,
      as,
      returnTo: safePath(query.get("return_to")),
    });
    effects.log("connect_started", {
      agency_id: agencyId,
      as,
      model_id: modelId,
    });
    return sendTo(url, request);
  } catch (error) {
    return explain(error, effects, "connect_not_started");
  }
}

/** Sends whoever holds a link to Fanvue; a browser is here, so what goes wrong is a page. */
async function startByLink(
  invitation: string,
  effects: Effects,
): Promise<Response> {
  try {
    const settings = effects.settings();
    const secrets = makeSecrets(effects.randomBytes);
    const stateHash = await hashNonce(secrets.state);
    await databaseOf(settings, effects).callAsService(
      "begin_linked_connection",
      {
        p_link_hash: await hashNonce(invitation),
        p_state_hash: stateHash,
        p_verifier: await settings.keyring.seal(
          secrets.verifier,
          connectionVerifier(stateHash),
        ),
      },
    ).catch((error) => {
      throw refusedWith(error, { 404: "linkOver", 429: "tooMany" });
    });
    effects.log("connect_started", { by: "link" });
    const { fanvue } = settings;
    const location = await consentUrl(fanvue, secrets, fanvue.scopes);
    return new Response(null, {
      status: 302,
      headers: { ...PRIVATE_HEADERS, location },
    });
  } catch (error) {
    return endWith(error, effects);
  }
}

interface Attempt {
  readonly agencyId: string;
  readonly modelId: string | null;
  readonly connectionId: string | null;
  readonly as: "creator" | "agency";
  readonly returnTo: string;
}

async function begin(
  effects: Effects,
  token: string,
  attempt: Attempt,
): Promise<string> {
  const settings = effects.settings();
  const secrets = makeSecrets(effects.randomBytes);
  const stateHash = await hashNonce(secrets.state);
  await databaseOf(settings, effects).callAsUser(token, "begin_connection", {
    p_agency_id: attempt.agencyId,
    p_model_id: attempt.modelId,
    p_state_hash: stateHash,
    p_verifier: await settings.keyring.seal(
      secrets.verifier,
      connectionVerifier(stateHash),
    ),
    p_return_to: attempt.returnTo,
    ...(attempt.as === "agency"
      ? { p_as: attempt.as, p_connection_id: attempt.connectionId ?? undefined }
      : {}),
  });
  const { scopes, agencyScopes } = settings.fanvue;
  return await consentUrl(
    settings.fanvue,
    secrets,
    attempt.as === "agency" ? agencyScopes : scopes,
  );
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
