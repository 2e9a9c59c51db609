// The question put to Fanvue: where the browser is sent, with state and PKCE S256 (RFC 7636).

import { sha256, toBase64Url, toHex } from "../_shared/bytes.ts";
import type { RandomBytes } from "../_shared/sealing.ts";
import type { FanvueApp } from "./settings.ts";

const NONCE_BYTES = 32;
const NONCE = /^[A-Za-z0-9_-]{43}$/;

/** What is made up for one connection; both parts are secret until they are used. */
export interface Secrets {
  readonly state: string;
  readonly verifier: string;
}

export function makeSecrets(random: RandomBytes): Secrets {
  return {
    state: makeNonce(random),
    verifier: makeNonce(random),
  };
}

export function makeNonce(random: RandomBytes): string {
  return toBase64Url(random(NONCE_BYTES));
}

/** Tells whether a text can be a nonce made here. */
export function isNonce(text: string): boolean {
  return NONCE.test(text);
}

/** What is stored of a nonce: whoever reads the table cannot finish a connection. */
export async function hashNonce(nonce: string): Promise<string> {
  return toHex(await sha256(nonce));
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
