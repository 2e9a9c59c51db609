// What surrounds fanvue-connect in its tests: a database and a Fanvue that answer as they are
// told, and a list of everything that was asked of them, in order.

import type { Fields } from "../_shared/logs.ts";
import { connectionVerifier, Keyring } from "../_shared/sealing.ts";
import { challengeOf, hashNonce } from "../fanvue-connect/consent.ts";
import type { Effects } from "../fanvue-connect/effects.ts";
import { handle } from "../fanvue-connect/handler.ts";
import { readSettings } from "../fanvue-connect/settings.ts";

export const AGENCY = "a9e00000-0000-4000-8000-000000000001";
export const MODEL = "30de1000-0000-4000-8000-000000000002";
export const CREATOR = "7c1f0b52-9a44-4d0e-8a53-2f6f1f0f7a01";
export const USER_TOKEN = "header.payload.signature";
export const CODE = "made-up-code";
export const ACCESS = "made-up-access-token";
export const REFRESH = "made-up-refresh-token";
export const DASHBOARD = "https://dashboard.example.test";
export const KEYS = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/** What is asked on the way back when all goes well, in order. */
export const WHOLE_WAY = [
  "take_connection",
  "token",
  "v1/users/me",
  "hold_connection",
];
/** What is asked when a creator's account is confirmed, in order. */
export const STORING = [
  "confirm_connection",
  "confirmed_connection",
  "store_grant",
];
export const GRANT = {
  access_token: ACCESS,
  refresh_token: REFRESH,
  expires_in: 3599,
  scope: "openid offline_access offline read:self read:insights read:fan",
};
export const AGENCY_GRANT = {
  ...GRANT,
  scope: `${GRANT.scope} read:creator read:agency`,
};
export const MANAGER = "7c1f0b52-9a44-4d0e-8a53-2f6f1f0f7a09";
export const CONNECTION = "c0000000-0000-4000-8000-000000000003";
/** What is asked on the way back with an agency's account when all goes well, in order. */
export const AGENCY_WAY = [
  "take_connection",
  "token",
  "v1/users/me",
  "v1/creators",
  "hold_connection",
];
/** What a call throws when its answer never comes. */
export const LOST = new TypeError("connection reset");

export type Answer = (body: string, request: Request) => unknown;

interface Attempt {
  verifier: string;
  return_to: string;
  model_id: string | null;
  kind: string;
  used: boolean;
}

export interface Call {
  readonly name: string;
  readonly body: string;
  readonly headers: Headers;
}

/** An answer that is an error of the database. */
export function refusal(status: number, code = `PT${status}`): Response {
  return Response.json({ code, message: "words of the database" }, { status });
}

export class World {
  env: Record<string, string> = {
    SUPABASE_URL: "https://project.example.test",
    SUPABASE_SECRET_KEY: "sb_secret_made_up",
    SUPABASE_PUBLISHABLE_KEY: "sb_publishable_made_up",
    FANVUE_AUTH_URL: "https://auth.example.test",
    FANVUE_API_URL: "https://api.example.test",
    FANVUE_CLIENT_ID: "client id",
    FANVUE_CLIENT_SECRET: "s3cret:&%",
    TOKEN_ENCRYPTION_KEYS: KEYS,
    DASHBOARD_URL: DASHBOARD,
  };
  expectedCreator: string | null = null;
  /** Set by tests: what to answer instead, by name, once per entry. */
  readonly instead: Record<string, (Answer | Error)[]> = {};
  readonly calls: Call[] = [];
  readonly logged: { event: string; fields: Fields }[] = [];
  readonly pauses: number[] = [];
  readonly attempts = new Map<string, Attempt>();
  held: Record<string, unknown> | null = null;
  browserHash: string | null = null;
  challenge = "";

  readonly #usual: Record<string, Answer> = {
    begin_connection: (body) => this.#begin(JSON.parse(body)),
    take_connection: (body) => this.#take(JSON.parse(body).p_state_hash),
    begin_linked_connection: (body) => this.#begin(JSON.parse(body)),
    store_grant: () => ({ version: 4, job_id: 1 }),
    hold_connection: (body) => {
      const { p_held, p_browser_hash } = JSON.parse(body);
      this.held = p_held;
      this.browserHash = p_browser_hash;
      return null;
    },
    confirm_connection: (body) => this.#see(JSON.parse(body), false),
    confirm_linked_connection: (body) => this.#see(JSON.parse(body), true),
    confirmed_connection: () => ({
      ...this.held,
      ...(this.#kind === "creator"
        ? { model_id: MODEL }
        : { connection_id: CONNECTION }),
      token_version: 3,
      stored: false,
      kind: this.#kind,
      agency_id: AGENCY,
    }),
    store_connection: () => ({ version: 4, mended: 0 }),
    attach_creators: (body) =>
      JSON.parse(body).p_creators.map(() => ({ outcome: "created" })),
    decline_connection: () => ({
      by_link: false,
      return_to: [...this.attempts.values()].at(-1)?.return_to ?? null,
    }),
    block_bucket: () => null,
    token: (body) => this.#exchange(new URLSearchParams(body)),
    "v1/users/me": () => ({ uuid: CREATOR.toUpperCase(), handle: "nova-demo" }),
    "users/me": () => ({ uuid: CREATOR, handle: "nova-demo" }),
  };

  get effects(): Effects {
    const env = (name: string): string | undefined => this.env[name];
    return {
      settings: () => readSettings(env, (count) => this.#random(count)),
      dashboardUrl: () => this.env.DASHBOARD_URL ?? null,
      fetch: (request) => this.#answer(request),
      randomBytes: (count) => this.#random(count),
      pause: (ms) => {
        this.pauses.push(ms);
        return Promise.resolve();
      },
      log: (event, fields) => this.logged.push({ event, fields }),
    };
  }

  /** The names of what was asked, in order. */
  get order(): string[] {
    return this.calls.map((call) => call.name);
  }

  body(name: string): Record<string, unknown> {
    return JSON.parse(
      this.calls.find((call) => call.name === name)?.body ?? "{}",
    );
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Response> {
    return this.ask("GET", path, headers);
  }

  ask(
    method: string,
    path: string,
    headers: Record<string, string> = {},
    body?: URLSearchParams,
  ): Promise<Response> {
    const url = `http://127.0.0.1/fanvue-connect${path}`;
    const request = new Request(url, { method, headers, body: body ?? null });
    return handle(request, this.effects);
  }

  /** Says yes as the dashboard's form does, in the browser that came back with this answer. */
  confirm(
    back: Response,
    changes: {
      cookie?: string;
      token?: string;
      nonce?: string;
      answer?: string;
    } = {},
  ): Promise<Response> {
    const location = new URL(back.headers.get("location") ?? DASHBOARD);
    const cookie = back.headers.get("set-cookie")?.split(";")[0] ?? "";
    this.calls.length = 0;
    return this.ask(
      "POST",
      "/confirm",
      { cookie: changes.cookie ?? `other=1; ${cookie}` },
      new URLSearchParams({
        nonce: changes.nonce ?? location.searchParams.get("confirm") ?? "",
        access_token: changes.token ?? USER_TOKEN,
        ...(changes.answer === undefined ? {} : { answer: changes.answer }),
      }),
    );
  }

  /** Begins a connection, comes back from Fanvue, and says yes. */
  async connectWhole(query = ""): Promise<Response> {
    return await this.confirm(await this.connect(query));
  }

  get #kind(): string {
    return [...this.attempts.values()].at(-1)?.kind ?? "creator";
  }

  #see(args: Record<string, unknown>, byLink: boolean): unknown {
    const given = args.p_browser_hash;
    if (given !== null && given !== this.browserHash) return refusal(412);
    return {
      kind: this.#kind,
      agency_id: AGENCY,
      agency: "Nova Talent",
      by_link: byLink,
      return_to: [...this.attempts.values()].at(-1)?.return_to ?? null,
    };
  }

  /** Lets Fanvue know an agency's account that manages so many creators, a page at a time. */
  manage(count: number, isCreator = false): void {
    const uuidOf = (number: number) =>
      `7c1f0b52-9a44-4d0e-8a53-${String(number).padStart(12, "0")}`;
    const all = Array.from({ length: count }, (_, number) => ({
      uuid: uuidOf(number).toUpperCase(),
      handle: `creator-${number}`,
      displayName: null,
    }));
    this.#usual.token = () => ({ ...AGENCY_GRANT, token_type: "bearer" });
    this.#usual["v1/users/me"] = () => ({
      uuid: MANAGER,
      handle: "boss",
      isCreator,
    });
    this.#usual["v1/creators"] = (_, request) => {
      const page = Number(new URL(request.url).searchParams.get("page") ?? 1);
      return {
        data: all.slice((page - 1) * 50, page * 50),
        pagination: { page, size: 50, hasMore: all.length > page * 50 },
      };
    };
  }

  start(query = "", headers: Record<string, string> = {}): Promise<Response> {
    return this.get(`/start?agency_id=${AGENCY}${query}`, {
      authorization: `Bearer ${USER_TOKEN}`,
      ...headers,
    });
  }

  /** Begins a connection and returns the address that Fanvue sends the browser back to. */
  async begun(query = ""): Promise<string> {
    const response = await this.start(query);
    const url = new URL(response.headers.get("location") ?? "");
    this.challenge = url.searchParams.get("code_challenge") ?? "";
    this.calls.length = 0;
    return `/callback?code=${CODE}&state=${url.searchParams.get("state")}`;
  }

  /** Begins a connection and comes back from Fanvue. */
  async connect(query = ""): Promise<Response> {
    return await this.get(await this.begun(query));
  }

  #random(count: number): Uint8Array<ArrayBuffer> {
    return crypto.getRandomValues(new Uint8Array(count));
  }

  async #answer(request: Request): Promise<Response> {
    const body = await request.text();
    const name = new URL(request.url).pathname.replace(
      /^\/(rest\/v1\/rpc\/|oauth2\/)?/,
      "",
    );
    this.calls.push({ name, body, headers: request.headers });
    const answer = this.instead[name]?.shift() ?? this.#usual[name];
    if (answer === undefined) return new Response("", { status: 404 });
    if (answer instanceof Error) throw answer;
    const value = await answer(body, request);
    return value instanceof Response ? value : Response.json(value);
  }

  #begin(args: Record<string, string | null>): unknown {
    this.attempts.set(args.p_state_hash ?? "", {
      verifier: args.p_verifier ?? "",
      return_to: args.p_return_to ?? "",
      model_id: args.p_model_id ?? null,
      kind: args.p_as ?? "creator",
      used: false,
    });
    return { expires_at: "2026-11-23T00:10:00+00:00" };
  }

  #take(stateHash: string): unknown {
    const attempt = this.attempts.get(stateHash);
    if (attempt === undefined || attempt.used) return refusal(404);
    attempt.used = true;
    const { used: _, ...noted } = attempt;
    return {
      agency_id: AGENCY,
      creator_uuid: this.expectedCreator,
      ...noted,
    };
  }

  async #exchange(form: URLSearchParams): Promise<unknown> {
    const challenge = await challengeOf(form.get("code_verifier") ?? "");
    if (challenge !== this.challenge || form.get("code") !== CODE) {
      return Response.json({ error: "invalid_grant" }, { status: 400 });
    }
    return { ...GRANT, token_type: "bearer" };
  }
}

/** Opens a verifier as it was stored for a state. */
export async function openVerifier(
  sealed: string,
  state: string,
): Promise<string> {
  const place = connectionVerifier(await hashNonce(state));
  return await Keyring.parse([KEYS]).open(sealed, place);
}
