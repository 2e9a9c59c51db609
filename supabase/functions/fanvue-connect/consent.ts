// The question put to Fanvue: where the browser is sent, with state and PKCE S256 (RFC 7636).

import { sha256, toBase64Url, toHex } from "../_shared/bytes.ts";
import type { RandomBytes } from "../_shared/sealing.ts";
import type { FanvueApp } from "./settings.ts";

const SECRET_BYTES = 32;
const STATE = /^[A-Za-z0-9_-]{43}$/;

/** What is made up for one connection; both parts are secret until they are used. */
export interface Secrets {
  readonly state: string;
  readonly verifier: string;
}

export function makeSecrets(random: RandomBytes): Secrets {
  return {
    state: toBase64Url(random(SECRET_BYTES)),
    verifier: toBase64Url(random(SECRET_BYTES)),
  };
}

/** Tells whether a text can be a state made here. */
export function isState(text: string): boolean {
  return STATE.test(text);
}

/** What is stored of a state: whoever reads the table cannot finish a connection. */
export async function hashState(state: string): Promise<string> {
  return toHex(await sha256(state));
}

export async function challengeOf(verifier: string): Promise<string> {
  return toBase64Url(await sha256(verifier));
}

/** Returns the address at Fanvue where the account's owner consents. */
export async function consentUrl(
  app: FanvueApp,
  secrets: Secrets,
  scopes: string,
): Promise<string> {
  const url = new URL(`${app.authUrl}/oauth2/auth`);
  url.search = new URLSearchParams({
    response_type: "code",
    client_id: app.clientId,
    redirect_uri: app.redirectUri,
    scope: scopes,
    state: secrets.state,
    code_challenge: await challengeOf(secrets.verifier),
    code_challenge_method: "S256",
    // A browser may be signed in to Fanvue as somebody else.
    prompt: "login",
  }).toString();
  return url.href;
}
