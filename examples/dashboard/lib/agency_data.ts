/**
 * Everything that is shown of one agency, kept fresh: the channel tells what changed, and only that
 * is fetched again. It may miss a push without a word, the last one of a burst above all, so that
 * the database is asked every minute whether figures changed while somebody looks; they are fetched
 * when they did, and everything now and then; more often while the channel is away.
 */

import { type Arrival, fetchArrival } from "./announcements";
import { SYSTEM_TIMERS, type Timers } from "./coalescer";
import { type Change, type Feed, fetchHead } from "./feed";
import { fetchHealth, mergeHealth, type StreamHealth, unknownSince } from "./health";
import { creatorsOf, type Hint, reaches } from "./hints";
import { type Connection, LiveChannel } from "./live_channel";
import { fetchModels, type Model } from "./models";
import type { Client } from "./project_client";
import { Resource } from "./resource";

const LIVE_PERIOD_MS = 60_000;
const AWAY_PERIOD_MS = 30_000;
const HEALTH_GAP = 400;
// A row is written a little before it is committed: no statement takes longer.
const COMMIT_MS = 60_000;
// How fresh streams are nobody tells, and it is the longest of all fetches: every fifth look is enough.
const WHOLE_LOOKS = 5;
// More creators than this would make an address that proxies refuse.
const MOST_CREATORS = 50;

/** What the database said at a look: what the figures were called, and when it was. */
interface Look {
  readonly stamp: string;
  readonly at: string;
}

export class AgencyData {
  readonly feed: Resource<Feed>;
  readonly models: Resource<Model[]>;
  readonly health: Resource<StreamHealth[]>;
  readonly arrival: Resource<Arrival | null>;
  private readonly sums = new Set<() => void>();
  private readonly refusals = new Set<() => void>();
  private readonly listeners = new Set<() => void>();
  private readonly channel: LiveChannel;
  private connection: Connection = "connecting";
  private cancelLook: () => void = () => undefined;
  private looks = 0;
  /** The creators whose streams changed since they were fetched; null is all. */
  private changedModels: Set<string> | null = null;
  /** Since when syncs may have ended that are not shown; null where none ever did. */
  private syncedSince: string | null = null;
  /** Whether those that did not change are to be fetched as well. */
  private allStreams = true;
  /** The creators whose sales did. */
  private changedSellers: Set<string> | null = null;
  /** Since when sales changed of which no hint came. */
  private changedSince: string | null = null;
  /** The last look; null where not all that it asked for came. */
  private looked: Look | null = null;
  /** Of the sums that are on screen: newer than a look, they prove nothing of the rest. */
  private stamp: string | null = null;

  constructor(
    private readonly client: Client,
    private readonly agencyId: string,
    private readonly timers: Timers = SYSTEM_TIMERS,
  ) {
    const feed = async (before: Feed | null, signal: AbortSignal) => {
      const change = this.takeChangedSales();
      try {
        return await fetchHead(client, agencyId, before, signal, change);
      } catch (error) {
        this.changedSellers = null;
        return this.forgetLook(error);
      }
    };
    this.feed = new Resource(feed, undefined, timers);
    const models = (_: unknown, signal: AbortSignal) =>
      fetchModels(client, agencyId, signal).catch(this.forgetLook);
    this.models = new Resource(models, undefined, timers);
    const health = async (before: StreamHealth[] | null, signal: AbortSignal) => {
      const models = this.takeChangedModels();
      const since = this.syncedSince;
      const isNarrowed = !this.allStreams && (since !== null || models !== null);
      this.allStreams = false;
      try {
        if (before !== null && isNarrowed) {
          const some = await fetchHealth(client, agencyId, signal, { models, since });
          const merged = mergeHealth(before, models, some);
          if (models === null) this.syncedSince = unknownSince(some) ?? since;
          if (merged !== null) return merged;
        }
        const all = await fetchHealth(client, agencyId, signal);
        this.syncedSince = unknownSince(all);
        return all;
      } catch (error) {
        this.changedModels = null;
        this.allStreams = true;
        throw error;
      }
    };
    this.health = new Resource(health, HEALTH_GAP, timers);
    const arrival = (_: unknown, signal: AbortSignal) =>
      fetchArrival(client, agencyId, signal).catch(this.forgetLook);
    this.arrival = new Resource(arrival, undefined, timers);
    this.channel = new LiveChannel(client, agencyId, {
      onConnection: (connection) => this.setConnection(connection),
      onFlowing: () => this.refreshAll(),
      onHint: (hint) => this.follow(hint),
      onRefused: () => this.reportRefusal(),
    });
  }

  open(): void {
    this.refreshAll();
    this.channel.open();
    window.addEventListener("online", this.retry);
    window.addEventListener("offline", this.suspend);
    document.addEventListener("visibilitychange", this.lookAgain);
    this.planLook();
  }

  close(): void {
    this.cancelLook();
    window.removeEventListener("online", this.retry);
    window.removeEventListener("offline", this.suspend);
    document.removeEventListener("visibilitychange", this.lookAgain);
    this.channel.close();
    for (const resource of [this.feed, this.models, this.health, this.arrival]) resource.close();
  }

  /** Lets sums that are on screen be fetched again whenever money moves. */
  watchSums(refresh: () => void): () => void {
    this.sums.add(refresh);
    return () => this.sums.delete(refresh);
  }

  /** Tells whenever the server refused: whether the user is still a member is to be asked anew. */
  watchRefusals(listener: () => void): () => void {
    this.refusals.add(listener);
    return () => this.refusals.delete(listener);
  }

  /** Lets whoever fetches sums say that the server refused them. */
  reportRefusal(): void {
    for (const listener of this.refusals) listener();
  }

  readonly refreshAll = (): void => {
    this.allStreams = true;
    this.refreshNews();
  };

  private readonly refreshNews = (): void => {
    this.refreshFigures();
    this.refreshHealth();
  };

  private readonly refreshFigures = (): void => {
    this.refreshSums();
    this.changedSellers = null;
    for (const resource of [this.feed, this.models, this.arrival]) resource.refresh();
  };

  /** Takes the stamp of the sums that were fetched. */
  noteStamp(stamp: string): void {
    this.stamp = stamp;
  }

  readonly refreshHealth = (): void => this.refreshHealthOf(null);

  readonly readConnection = (): Connection => this.connection;

  readonly subscribeConnection = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  private readonly retry = (): void => {
    this.refreshAll();
    this.channel.retry();
  };

  private readonly suspend = (): void => this.channel.suspend();

  private readonly lookAgain = (): void => {
    if (!document.hidden) this.refreshAll();
  };

  /** Plans to look again by itself; spread, so that a thousand tabs do not ask at once. */
  private planLook(): void {
    this.cancelLook();
    const period = this.connection === "live" ? LIVE_PERIOD_MS : AWAY_PERIOD_MS;
    this.cancelLook = this.timers.after(period * (0.75 + Math.random() / 2), () => {
      this.looks += 1;
      const isQuiet = this.connection === "live" && this.looks % WHOLE_LOOKS !== 0;
      if (!document.hidden) {
        if (isQuiet) void this.refreshIfChanged();
        else this.refreshNews();
      }
      this.planLook();
    });
  }

  /** Asks the database, which is not paid by the call, and answers in 1.2 kB. */
  private async refreshIfChanged(): Promise<void> {
    const { data } = await this.client.rpc("stats_head", { p_agency_id: this.agencyId });
    const { stamp, as_of: at } = (data ?? {}) as { stamp?: unknown; as_of?: unknown };
    const before = this.looked;
    this.looked = typeof stamp === "string" && typeof at === "string" ? { stamp, at } : null;
    // whatever is wrong shows where figures are fetched
    if (this.looked === null || before === null) this.refreshFigures();
    else if (stamp !== before.stamp || stamp !== this.stamp) {
      if (stamp !== this.stamp) this.refreshSums();
      // Also where sums were fetched since, for whatever hint: that of a sale may still be lost.
      const since = new Date(Date.parse(before.at) - COMMIT_MS).toISOString();
      this.changedSince ??= since;
      this.feed.refresh();
    }
  }

  /** Lets the next look fetch everything, because something could not be fetched. */
  private readonly forgetLook = (error: unknown): never => {
    this.looked = null;
    throw error;
  };

  /** Which sales are to be fetched; null is all. */
  private takeChangedSales(): Change | null {
    const [models, since] = [this.changedSellers, this.changedSince];
    this.changedSellers = new Set();
    this.changedSince = null;
    if (models === null || models.size > MOST_CREATORS) return null;
    if (since !== null) return models.size > 0 ? null : { since };
    return models.size > 0 ? { models: [...models] } : null;
  }

  /** Whose streams are to be fetched; null is all. */
  private takeChangedModels(): string[] | null {
    const models = this.changedModels;
    this.changedModels = new Set();
    const isShort = models !== null && models.size > 0 && models.size <= MOST_CREATORS;
    return isShort ? [...models] : null;
  }

  private refreshSums(): void {
    for (const refresh of this.sums) refresh();
  }

  private follow(hint: Hint): void {
    if (hint.many) {
      this.refreshAll();
      return;
    }
    const { changed } = hint;
    if (changed.has("transactions")) {
      this.refreshSums();
      const shown = this.feed.read().value;
      const oldest = shown?.hasMore ? shown.rows.at(-1) : undefined;
      if (reaches(hint, oldest?.fanvue_created_at ?? null)) {
        const creators = creatorsOf(hint);
        if (creators === null) this.changedSellers = null;
        for (const id of creators ?? []) this.changedSellers?.add(id);
        this.feed.refresh();
      }
    }
    if (changed.has("model")) {
      this.models.refresh();
      this.refreshSums();
    }
    if (["model", "job", "sync_state"].some((kind) => changed.has(kind))) {
      this.refreshHealthOf(creatorsOf(hint));
    }
    // What hourly polls bring to the sums (top fans, how many subscribe and follow), the next look finds.
  }

  /** Fetches the streams of some creators, or of all. */
  private refreshHealthOf(creators: ReadonlySet<string> | null): void {
    if (creators === null) this.changedModels = null;
    for (const id of creators ?? []) this.changedModels?.add(id);
    this.health.refresh();
  }

  private setConnection(connection: Connection): void {
    if (connection === this.connection) return;
    this.connection = connection;
    this.planLook();
    for (const listener of this.listeners) listener();
  }
}
