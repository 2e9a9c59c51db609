// `/confirm`: the person sees for which agency the account is and what it reads (GET, for the dashboard's
// script), and says yes or no (POST, the dashboard's form, so that the browser brings its cookie): only
// then is the grant stored, or thrown away. It takes the nonce in the address and the cookie, which only the browser that came back
// from Fanvue was given, and, where somebody signed in began, that person's session. Who lures somebody to
// consent has neither nonce nor cookie; who is lured lacks the session, or reads whose agency it is.

import { readAtMost } from "../_shared/bytes.ts";
import type { DatabaseFunctions } from "../_shared/database.ts";
import { DatabaseAway, DatabaseRefused } from "../_shared/errors.ts";
import { cookieOf, dropCookie } from "./browser.ts";
import { hashNonce, isNonce } from "./consent.ts";
import { fieldsOf, repeat, type Row, textOrNull } from "./database_answers.ts";
import { databaseOf, type Effects } from "./effects.ts";
import { Ended, endWith, refusedWith } from "./ended.ts";
import { PRIVATE_HEADERS, showPage } from "./pages.ts";
import { returnUrl, safePath } from "./return_path.ts";
import { CORS_HEADERS, explain, refuse, userToken } from "./script_answers.ts";
import type { Settings } from "./settings.ts";
import { storeHeld } from "./store.ts";

const LARGEST_FORM_BYTES = 16 * 1024;

/** Shows what is to be confirmed, or does what the person answers. */
export async function confirm(
  request: Request,
  effects: Effects,
): Promise<Response> {
  if (request.method === "GET") return await show(request, effects);
  try {
    return await answer(request, effects);
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

/** What the form was sent with. */
interface Sent {
  readonly nonceHash: string;
  readonly browserHash: string;
  readonly token: string | null;
}

interface Work {
  readonly settings: Settings;
  readonly database: DatabaseFunctions;
  readonly effects: Effects;
}

async function answer(request: Request, effects: Effects): Promise<Response> {
  const form = await readForm(request);
  const nonce = form.get("nonce") ?? "";
  if (!isNonce(nonce)) throw new Ended("incomplete");
  const settings = effects.settings();
  const database = databaseOf(settings, effects);
  const address = settings.fanvue.redirectUri;
  const nonceHash = await hashNonce(nonce);
  const secret = cookieOf(request, address, nonceHash);
  if (secret === null) throw new Ended("otherBrowser");
  const work = { settings, database, effects };
  const sent = {
    nonceHash,
    browserHash: await hashNonce(secret),
    token: form.get("access_token"),
  };
  const response = form.get("answer") === "no"
    ? await decline(work, sent)
    : await store(work, sent);
  response.headers.set("set-cookie", dropCookie(address, nonceHash));
  return response;
}

async function store(work: Work, sent: Sent): Promise<Response> {
  const { settings, database } = work;
  const { nonceHash, browserHash, token } = sent;
  const shown = await see(database, token, nonceHash, browserHash).catch(
    (error) => {
      throw refusedWith(error, {
        401: "signedOut",
        403: "notAllowed",
        404: "used",
        410: "expired",
        412: "otherBrowser",
      });
    },
  );
  const stored = await storeHeld(work, nonceHash);
  // whoever holds a link has no account in the dashboard
  if (shown.by_link === true) return showPage("connected", null);
  return redirect(
    returnUrl(
      settings.dashboardUrl,
      textOrNull(shown, "return_to"),
      "connected",
      stored,
    ),
  );
}

/** Throws away what Fanvue granted; takes no session, since who was lured has none. */
async function decline(work: Work, sent: Sent): Promise<Response> {
  const { settings, database, effects } = work;
  const answer = await repeat(
    () =>
      database.callAsService("decline_connection", {
        p_nonce_hash: sent.nonceHash,
        p_browser_hash: sent.browserHash,
      }),
    DatabaseAway,
    effects,
  ).catch((error) => {
    throw refusedWith(error, { 404: "used", 412: "otherBrowser" });
  });
  const declined = fieldsOf(answer, "decline_connection");
  effects.log("connect_declined", { word: "at_the_dashboard" });
  return declined.by_link === true ? showPage("declined", null) : redirect(
    settings.dashboardUrl + safePath(textOrNull(declined, "return_to")),
  );
}

function redirect(location: string): Response {
  return new Response(null, {
    status: 303,
    headers: { ...PRIVATE_HEADERS, location },
  });
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
