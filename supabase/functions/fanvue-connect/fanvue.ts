// Talks to Fanvue: trades the code for a grant and asks whose grant it is. Stores nothing, and no
// error here repeats what Fanvue said beyond its error code.

import { readAtMost, toBase64 } from "../_shared/bytes.ts";
import type { Fetch } from "../_shared/database.ts";
import { FanvueAway, FanvueRefused } from "../_shared/errors.ts";
import type { FanvueApp } from "./settings.ts";

const TIMEOUT_MS = 10_000;
const LARGEST_ANSWER_BYTES = 1024 * 1024;
const USER_AGENT = "fanvue-sync-engine";
const USUAL_LIFETIME_SECONDS = 3_600;
const LONGEST_LIFETIME_SECONDS = 366 * 86_400;
const ERROR_WORD = /^[a-z_]{1,64}$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export interface Grant {
  readonly accessToken: string;
  readonly refreshToken: string | null;
  readonly expiresInSeconds: number;
  readonly scopes: readonly string[];
}

export interface Creator {
  readonly uuid: string;
  readonly handle: string | null;
}

type Answer = Readonly<Record<string, unknown>>;

export class Fanvue {
  readonly #app: FanvueApp;
  readonly #fetch: Fetch;

  constructor(app: FanvueApp, fetch: Fetch) {
    this.#app = app;
    this.#fetch = fetch;
  }

  /** Trades an authorization code for the first pair of tokens. */
  async exchange(code: string, verifier: string): Promise<Grant> {
    const [status, answer] = await this.#ask(
      `${this.#app.authUrl}/oauth2/token`,
      {
        method: "POST",
        headers: {
          authorization: basic(this.#app.clientId, this.#app.clientSecret),
          "content-type": "application/x-www-form-urlencoded",
        },
        body: new URLSearchParams({
          grant_type: "authorization_code",
          code,
          redirect_uri: this.#app.redirectUri,
          code_verifier: verifier,
          client_id: this.#app.clientId,
        }).toString(),
      },
    );
    if (status !== 200) throw refusal(status, answer);
    const { access_token, refresh_token, expires_in, scope } = answer;
    if (typeof access_token !== "string" || access_token === "") {
      throw new FanvueAway("Fanvue answered without an access token");
    }
    return {
      accessToken: access_token,
      refreshToken: typeof refresh_token === "string" && refresh_token !== ""
        ? refresh_token
        : null,
      expiresInSeconds: lifetime(expires_in),
      // No word about scopes means: as asked (RFC 6749, 5.1).
      scopes: (typeof scope === "string" ? scope : this.#app.scopes).split(
        /\s+/,
      ),
    };
  }

  /** Asks whose access token this is, in either family of paths. */
  async whoIs(accessToken: string): Promise<Creator> {
    for (const prefix of this.#app.pathPrefixes) {
      const [status, answer] = await this.#ask(
        `${this.#app.apiUrl}${prefix}/users/me`,
        {
          headers: {
            authorization: `Bearer ${accessToken}`,
            "x-fanvue-api-version": this.#app.apiVersion,
          },
        },
      );
      if (status === 404 || status === 410) continue;
      if (status !== 200) throw refusal(status, answer);
      const { uuid, handle } = answer;
      if (typeof uuid !== "string" || !UUID.test(uuid)) break;
      return {
        uuid: uuid.toLowerCase(),
        handle: typeof handle === "string" && handle !== "" ? handle : null,
      };
    }
    throw new FanvueAway("Fanvue does not say whose account this is");
  }

  async #ask(
    url: string,
    init: RequestInit & { headers: Record<string, string> },
  ): Promise<[status: number, answer: Answer]> {
    const request = new Request(url, {
      ...init,
      headers: {
        ...init.headers,
        accept: "application/json",
        "user-agent": USER_AGENT,
      },
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    let status: number;
    let text: string;
    try {
      const response = await this.#fetch(request);
      const body = await readAtMost(response.body, LARGEST_ANSWER_BYTES);
      status = response.status;
      text = new TextDecoder().decode(body ?? undefined);
    } catch (error) {
      const why = error instanceof Error ? error.name : "unknown";
      throw new FanvueAway(`no answer of Fanvue (${why})`);
    }
    return [status, parse(text)];
  }
}

function basic(clientId: string, clientSecret: string): string {
  // RFC 6749, 2.3.1: both parts are form-encoded before they are joined.
  const joined = `${encodeURIComponent(clientId)}:${
    encodeURIComponent(clientSecret)
  }`;
  return `Basic ${toBase64(new TextEncoder().encode(joined))}`;
}

function parse(text: string): Answer {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value as Answer : {};
  } catch {
    return {};
  }
}

function refusal(status: number, answer: Answer): FanvueAway | FanvueRefused {
  if (status >= 500 || status === 408 || status === 429 || status < 400) {
    return new FanvueAway(`Fanvue answered ${status}`);
  }
  const { error } = answer;
  const word = typeof error === "string" && ERROR_WORD.test(error) ? error : "";
  return new FanvueRefused(status, word);
}

function lifetime(value: unknown): number {
  const seconds = Math.floor(Number(value));
  return seconds > 0 && seconds <= LONGEST_LIFETIME_SECONDS
    ? seconds
    : USUAL_LIFETIME_SECONDS;
}
