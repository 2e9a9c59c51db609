// Talks to Fanvue: trades the code for a grant and asks whose grant it is. Stores nothing, and no
// error here repeats what Fanvue said beyond its error code.

import { readAtMost, toBase64 } from "../_shared/bytes.ts";
import type { Fetch } from "../_shared/database.ts";
import { FanvueAway, FanvueBusy, FanvueRefused } from "../_shared/errors.ts";
import type { FanvueApp } from "./settings.ts";

const TIMEOUT_MS = 10_000;
const LARGEST_ANSWER_BYTES = 1024 * 1024;
const USER_AGENT = "fanvue-sync-engine";
const PAGE_SIZE = 50;
const MOST_PAGES = 200;
const WINDOW_SECONDS = 60;
const LONGEST_PAUSE_SECONDS = 3_600;
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

export interface Account {
  readonly uuid: string;
  readonly handle: string | null;
  /** False for an agency's manager account; null where Fanvue does not say. */
  readonly isCreator: boolean | null;
}

/** A creator whom an agency's account manages, as `attach_creators` takes them. */
export interface Managed {
  readonly uuid: string;
  readonly handle: string | null;
  readonly display_name: string | null;
}

type Answer = Readonly<Record<string, unknown>>;

export class Fanvue {
  readonly #app: FanvueApp;
  readonly #fetch: Fetch;

  constructor(app: FanvueApp, fetch: Fetch) {
    this.#app = app;
    this.#fetch = fetch;
  }

  /** Trades an authorization code for the first pair of tokens; `asked`: the scopes asked for. */
  async exchange(
    code: string,
    verifier: string,
    asked: string,
  ): Promise<Grant> {
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
      scopes: (typeof scope === "string" ? scope : asked).split(/\s+/),
    };
  }

  /** Asks whose access token this is, in either family of paths. */
  async whoIs(accessToken: string): Promise<Account> {
    const { uuid, handle, isCreator } = await this.#read(
      accessToken,
      "/users/me",
    );
    if (typeof uuid !== "string" || !UUID.test(uuid)) {
      throw new FanvueAway("Fanvue does not say whose account this is");
    }
    return {
      uuid: uuid.toLowerCase(),
      handle: textOrNull(handle),
      isCreator: typeof isCreator === "boolean" ? isCreator : null,
    };
  }

  /** Lists the creators whom an agency's account manages. */
  async managed(accessToken: string): Promise<Managed[]> {
    const found = new Map<string, Managed>();
    let position = "";
    for (let page = 0; page < MOST_PAGES; page++) {
      const answer = await this.#read(
        accessToken,
        `/creators?size=${PAGE_SIZE}${position}`,
      );
      if (!Array.isArray(answer.data)) break;
      for (const row of answer.data) {
        const { uuid, handle, displayName } = row ?? {};
        // A creator whom nobody notices would be missed: better no list than one with a hole.
        if (typeof uuid !== "string" || !UUID.test(uuid)) {
          throw new FanvueAway("Fanvue lists a creator without a uuid");
        }
        found.set(uuid.toLowerCase(), {
          uuid: uuid.toLowerCase(),
          handle: textOrNull(handle),
          display_name: textOrNull(displayName),
        });
      }
      const following = after(answer);
      if (following === null) return [...found.values()];
      position = following;
    }
    throw new FanvueAway("the list of creators has no end that can be read");
  }

  /** Reads in whichever family of paths is there. */
  async #read(accessToken: string, path: string): Promise<Answer> {
    for (const prefix of this.#app.pathPrefixes) {
      const [status, answer] = await this.#ask(
        `${this.#app.apiUrl}${prefix}${path}`,
        {
          headers: {
            authorization: `Bearer ${accessToken}`,
            "x-fanvue-api-version": this.#app.apiVersion,
          },
        },
      );
      if (status === 404 || status === 410) continue;
      if (status !== 200) throw refusal(status, answer);
      return answer;
    }
    throw new FanvueAway(`Fanvue has no ${path.replace(/\?.*/, "")}`);
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
    let busy: FanvueBusy | null = null;
    try {
      const response = await this.#fetch(request);
      const body = await readAtMost(response.body, LARGEST_ANSWER_BYTES);
      status = response.status;
      if (status === 429) {
        busy = new FanvueBusy(
          new URL(url).pathname.replace(/^\/v1(?=\/)/, ""),
          pauseOf(response.headers.get("retry-after")),
        );
      }
      text = new TextDecoder().decode(body ?? undefined);
    } catch (error) {
      const why = error instanceof Error ? error.name : "unknown";
      throw new FanvueAway(`no answer of Fanvue (${why})`);
    }
    if (busy !== null) throw busy;
    return [status, parse(text)];
  }
}

/** Returns the parameters that ask for the page after this one; null at the end. */
function after({ nextCursor, pagination }: Answer): string | null {
  if (typeof nextCursor === "string" && nextCursor !== "") {
    return `&cursor=${encodeURIComponent(nextCursor)}`;
  }
  const { page, hasMore } = (pagination ?? {}) as Answer;
  return hasMore === true && typeof page === "number"
    ? `&page=${page + 1}`
    : null;
}

function textOrNull(value: unknown): string | null {
  return typeof value === "string" && value.trim() !== "" ? value : null;
}

function pauseOf(text: string | null): number {
  const seconds = text !== null && /^\d{1,9}$/.test(text.trim())
    ? Number(text)
    : (Date.parse(text ?? "") - Date.now()) / 1000;
  return Number.isFinite(seconds)
    ? Math.min(Math.max(Math.ceil(seconds), 1), LONGEST_PAUSE_SECONDS)
    : WINDOW_SECONDS;
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
  if (status >= 500 || status === 408 || status < 400) {
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
