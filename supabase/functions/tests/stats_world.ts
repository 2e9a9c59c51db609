// What surrounds dashboard-stats in its tests: a database with versions, a Redis that keeps what it
// is given, a clock that moves when somebody pauses, and a list of everything that was asked.

import { Cache } from "../_shared/cache.ts";
import { DatabaseRefused } from "../_shared/errors.ts";
import type { Fields } from "../_shared/logs.ts";
import { handle } from "../dashboard-stats/handler.ts";
import { Reader } from "../dashboard-stats/reader.ts";
import { Shelf } from "../dashboard-stats/shelf.ts";
import { Source } from "../dashboard-stats/source.ts";
import { AssertionFailed } from "./assertions.ts";

export const AGENCY = "a9e00000-0000-4000-8000-000000000001";
export const OTHER_AGENCY = "a9e00000-0000-4000-8000-000000000002";
export const MEMBER = "header.member.signature";
export const OTHER_MEMBER = "header.other.signature";
export const [FROM, TO] = ["2026-11-01", "2026-11-30"];
export const KEY = `fanvue:stats:v1:${AGENCY}:${FROM}:${TO}`;
export const LOCK = `fanvue:stats:v1:fill:${AGENCY}:${FROM}:${TO}`;
export const RANGES = `fanvue:stats:v1:ranges:${AGENCY}`;
const REDIS_URL = "https://redis.example.test";
const STUCK_AFTER = 10_000;
const NO_HURRY_MS = 600_000;

export type Json = Record<string, unknown>;
type Act = () => unknown;
type Command = string[];

/** A door that is shut until somebody opens it. */
export class Gate {
  readonly arrived: Promise<void>;
  readonly #opened: Promise<void>;
  #arrive = (): void => {};
  open = (): void => {};

  constructor() {
    this.arrived = new Promise((resolve) => this.#arrive = resolve);
    this.#opened = new Promise((resolve) => this.open = resolve);
  }

  /** Says that somebody stands here, and waits until it opens. */
  readonly pass = async (): Promise<void> => {
    this.#arrive();
    await this.#opened;
  };
}

/** One process of the function, beside others in the same world. */
export class Isolate {
  readonly #world: World;
  readonly #reader: Reader;

  constructor(world: World, cache: Cache | null) {
    this.#world = world;
    const nowMs = (): number => world.nowMs;
    this.#reader = new Reader(new Shelf(cache, { nowMs, chance: () => 0.5 }), {
      nowMs,
      pause: (ms) => world.pause(ms),
    });
  }

  ask(
    token: string = MEMBER,
    query = `agency_id=${AGENCY}&from=${FROM}&to=${TO}`,
    init: RequestInit = {},
  ): Promise<Response> {
    const request = new Request(`http://127.0.0.1/dashboard-stats?${query}`, {
      headers: { authorization: `Bearer ${token}` },
      ...init,
    });
    return handle(request, {
      read: (token, question) =>
        this.#reader.read(
          new Source((name, args) => this.#world.call(token, name, args)),
          question,
        ),
      log: this.#world.log,
    });
  }

  /** Asks and returns the word of the cache and the total. */
  async look(token: string = MEMBER): Promise<[string | null, unknown]> {
    const response = await this.ask(token);
    if (response.status !== 200) {
      throw new AssertionFailed(`answered ${response.status}`);
    }
    const stats = await response.json();
    return [response.headers.get("x-cache"), stats.totals.gross];
  }
}

export class World {
  /** Sales of a dollar by agency: figures and stamp follow from their number. */
  readonly sales: Record<string, number> = { [AGENCY]: 1, [OTHER_AGENCY]: 70 };
  readonly members: Record<string, string> = {
    [MEMBER]: AGENCY,
    [OTHER_MEMBER]: OTHER_AGENCY,
  };
  readonly redis = new Map<string, string>();
  readonly ttl = new Map<string, string>();
  /** The names of the database's functions that were called, in order. */
  readonly calls: string[] = [];
  /** The commands that reached Redis, in order. */
  readonly commands: Command[] = [];
  readonly logged: { event: string; fields: Fields }[] = [];
  requestsToRedis = 0;
  nowMs = 1_800_000_000_000;
  /** Answers instead of Redis while set. */
  redisFails: ((request: Request) => Response | Promise<Response>) | null =
    null;
  /** Told how long each request to Redis is. */
  measured: (bytes: number) => void = () => {};
  #refuses: ((bytes: number, count: number) => Response | null) | null = null;
  readonly #before = new Map<string, Act[]>();
  readonly #after = new Map<string, Act[]>();
  #pauses = 0;

  readonly log = (event: string, fields: Fields): void => {
    this.logged.push({ event, fields });
  };

  isolate(timeoutMs = NO_HURRY_MS): Isolate {
    const settings = { url: REDIS_URL, token: "made up" };
    const effects = {
      fetch: (request: Request) => this.#serveRedis(request),
      nowMs: () => this.nowMs,
      log: this.log,
    };
    const cache = new Cache(settings, effects, timeoutMs);
    return new Isolate(this, cache);
  }

  /** A process without settings of Redis. */
  bareIsolate(): Isolate {
    return new Isolate(this, null);
  }

  /** Acts before the next call of this name takes effect; what it throws is the answer. */
  before(name: string, act: Act): void {
    this.#before.set(name, [...this.#before.get(name) ?? [], act]);
  }

  /** Acts after the next call of this name took effect, before its answer is seen. */
  after(name: string, act: Act): void {
    this.#after.set(name, [...this.#after.get(name) ?? [], act]);
  }

  /** Lets Redis refuse requests longer than this; the result counts them. */
  refusesAbove(
    limit: number,
    refusal: (count: number) => Response,
  ): () => number {
    let refused = 0;
    this.#refuses = (bytes, count) => {
      if (bytes <= limit) return null;
      refused++;
      return refusal(count);
    };
    return () => refused;
  }

  get computed(): number {
    return this.calls.filter((name) => name === "dashboard_stats").length;
  }

  get names(): string[] {
    return this.commands.map(([name]) => name ?? "");
  }

  stamp(agencyId = AGENCY): string {
    return `stamp-${this.sales[agencyId]}`;
  }

  /** The figures as the database gives them now. */
  figures(agencyId = AGENCY): Json {
    const gross = `${this.sales[agencyId]}.00`;
    return {
      agency_id: agencyId,
      from: FROM,
      to: TO,
      currency: "USD",
      stamp: this.stamp(agencyId),
      totals: { gross, net: gross, transactions: this.sales[agencyId] },
      previous: {},
      by_category: [],
      by_model: [],
      by_day: [],
      top_fans: [],
      audience: {},
      unconfirmed: {},
    };
  }

  /** What is kept for the figures of now. */
  kept(agencyId = AGENCY): Json {
    return { stamp: this.stamp(agencyId), stats: this.figures(agencyId) };
  }

  moment(): Json {
    return { freshness: [], as_of: new Date(this.nowMs).toISOString() };
  }

  async pause(ms: number): Promise<void> {
    if (++this.#pauses > STUCK_AFTER) {
      throw new AssertionFailed("waits forever");
    }
    this.nowMs += ms;
    await this.#act(this.#before, "pause");
  }

  async call(token: string, name: string, args: Json): Promise<unknown> {
    this.calls.push(name);
    await this.#act(this.#before, name);
    const agencyId = String(args.p_agency_id);
    if (this.members[token] !== agencyId) {
      throw new DatabaseRefused(403, "42501");
    }
    const answer = name === "stats_head"
      ? { agency_id: agencyId, stamp: this.stamp(agencyId), ...this.moment() }
      : { ...this.figures(agencyId), ...this.moment() };
    await this.#act(this.#after, name);
    return answer;
  }

  async #serveRedis(request: Request): Promise<Response> {
    this.requestsToRedis++;
    if (this.redisFails !== null) return await this.redisFails(request);
    const text = await request.text();
    const bytes = new TextEncoder().encode(text).length;
    this.measured(bytes);
    const body = JSON.parse(text);
    const refusal = this.#refuses?.(bytes, body.length);
    if (refusal) return refusal;
    const isList = new URL(request.url).pathname === "/pipeline";
    const results = [];
    for (const command of isList ? body : [body]) {
      results.push({ result: await this.#run(command.map(String)) });
    }
    return Response.json(isList ? results : results[0]);
  }

  async #run(command: Command): Promise<unknown> {
    this.commands.push(command);
    const [name, key = "", value = "", option] = command;
    await this.#act(this.#before, `${name} ${key}`);
    const reply = this.#effect(name ?? "", key, value, option, command);
    await this.#act(this.#after, `${name} ${key}`);
    return reply;
  }

  #effect(
    name: string,
    key: string,
    value: string,
    option: string | undefined,
    command: Command,
  ): unknown {
    switch (name) {
      case "GET":
        return this.redis.get(key) ?? null;
      case "MGET":
        return command.slice(1).map((one) => this.redis.get(one) ?? null);
      case "SET":
        if (option === "NX" && this.redis.has(key)) return null;
        if (option === "XX" && !this.redis.has(key)) return null;
        this.redis.set(key, value);
        if (option === "XX") return "OK";
        this.ttl.set(key, command.slice(option === "NX" ? 4 : 3).join(" "));
        return "OK";
      case "ZADD":
        // A line for each member: its score and itself.
        this.redis.set(
          key,
          [
            ...this.#lines(key).filter((line) => !line.endsWith(` ${option}`)),
            `${value} ${option}`,
          ]
            .join("\n"),
        );
        return 1;
      case "ZREMRANGEBYSCORE":
        // From the beginning to below a score, as it is used here.
        this.redis.set(
          key,
          this.#lines(key).filter((line) =>
            Number(line.split(" ")[0]) >= Number(option?.slice(1))
          ).join("\n"),
        );
        return 1;
      case "EXPIRE":
        this.ttl.set(key, `EX ${value}`);
        return 1;
      case "DEL":
        return this.redis.delete(key) ? 1 : 0;
    }
    throw new AssertionFailed(`Redis knows no ${name}`);
  }

  #lines(key: string): string[] {
    return this.redis.get(key)?.split("\n") ?? [];
  }

  async #act(acts: Map<string, Act[]>, name: string): Promise<void> {
    await acts.get(name)?.shift()?.();
  }
}
