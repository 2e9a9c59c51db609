// `/confirm`: the person sees for which agency the account is and what it reads (GET, for the dashboard's
// script), and says yes (POST, the dashboard's form, so that the browser brings its cookie); only then is
// the grant stored. It takes the nonce in the address and the cookie, which only the browser that came back
// from Fanvue was given, and, where somebody signed in began, that person's session. Who lures somebody to
// consent has neither nonce nor cookie; who is lured lacks the session, or reads whose agency it is.

import { readAtMost } from "../_shared/bytes.ts";
import type { DatabaseFunctions } from "../_shared/database.ts";
import { DatabaseRefused } from "../_shared/errors.ts";
import { cookieOf, dropCookie } from "./browser.ts";
import { hashNonce, isNonce } from "./consent.ts";
import { fieldsOf, type Row } from "./database_answers.ts";
import { databaseOf, type Effects } from "./effects.ts";
import { Ended, endWith, refusedWith } from "./ended.ts";
import { PRIVATE_HEADERS, showPage } from "./pages.ts";
import { returnUrl } from "./return_path.ts";
import { CORS_HEADERS, explain, refuse, userToken } from "./script_answers.ts";
import { storeHeld } from "./store.ts";

const LARGEST_FORM_BYTES = 16 * 1024;

/** Shows what is to be confirmed, or stores it. */
export async function confirm(
  request: Request,
  effects: Effects,
): Promise<Response> {
  if (request.method === "GET") return await show(request, effects);
  try {
    return await store(request, effects);
  } catch (error) {
    return endWith(error, effects);
  }
}

async function show(request: Request, effects: Effects): Promise<Response> {
  const nonce = new URL(request.url).searchParams.get("nonce") ?? "";
  if (!isNonce(nonce)) {
    return refuse(400, "nonce is not one that was made here");
  }
  try {
    const database = databaseOf(effects.settings(), effects);
    const { return_to: _, ...shown } = await see(
      database,
      userToken(request),
      await hashNonce(nonce),
      null,
    );
    return Response.json(shown, {
      headers: { ...PRIVATE_HEADERS, ...CORS_HEADERS },
    });
  } catch (error) {
    return explain(error, effects, "connect_not_shown");
  }
}

async function store(request: Request, effects: Effects): Promise<Response> {
  const form = await readForm(request);
  const nonce = form.get("nonce") ?? "";
  if (!isNonce(nonce)) throw new Ended("incomplete");
  const settings = effects.settings();
  const database = databaseOf(settings, effects);
  const address = settings.fanvue.redirectUri;
  const nonceHash = await hashNonce(nonce);
  const secret = cookieOf(request, address, nonceHash);
  if (secret === null) throw new Ended("otherBrowser");
  const shown = await see(
    database,
    form.get("access_token"),
    nonceHash,
    await hashNonce(secret),
  ).catch((error) => {
    throw refusedWith(error, {
      401: "signedOut",
      403: "notAllowed",
      404: "used",
      410: "expired",
      412: "otherBrowser",
    });
  });
  const stored = await storeHeld({ settings, database, effects }, nonceHash);
  const response = shown.by_link === true
    // whoever holds a link has no account in the dashboard
    ? showPage("connected", null)
    : new Response(null, {
      status: 303,
      headers: {
        ...PRIVATE_HEADERS,
        location: returnUrl(
          settings.dashboardUrl,
          typeof shown.return_to === "string" ? shown.return_to : null,
          "connected",
          stored,
        ),
      },
    });
  response.headers.set("set-cookie", dropCookie(address, nonceHash));
  return response;
}

/** Sees a held grant as whoever is signed in, else as whoever holds a link; with the secret it confirms. */
async function see(
  database: DatabaseFunctions,
  token: string | null,
  nonceHash: string,
  browserHash: string | null,
): Promise<Row> {
  const args = { p_nonce_hash: nonceHash, p_browser_hash: browserHash };
  if (token) {
    try {
      const seen = await database.callAsUser(token, "confirm_connection", args);
      return fieldsOf(seen, "confirm_connection");
    } catch (error) {
      // A session that ended is none; a link needs none.
      if (!(error instanceof DatabaseRefused) || error.status !== 401) {
        throw error;
      }
    }
  }
  const seen = await database.callAsService("confirm_linked_connection", args);
  return fieldsOf(seen, "confirm_linked_connection");
}

async function readForm(request: Request): Promise<URLSearchParams> {
  const body = await readAtMost(request.body, LARGEST_FORM_BYTES);
  return new URLSearchParams(new TextDecoder().decode(body ?? undefined));
}
