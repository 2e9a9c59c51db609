"use client";

import { Inbox } from "lucide-react";
import { useEffect, useLayoutEffect, useRef, useState } from "react";
import type { AgencyData } from "@/lib/agency_data";
import { Failure } from "@/lib/failure";
import { appendOlder, arrivals, type Feed, fetchOlder, type Sale } from "@/lib/feed";
import type { Model } from "@/lib/models";
import type { Client } from "@/lib/project_client";
import { useResource } from "@/lib/use_resource";
import { Announcer } from "./announcer";
import { EmptyState } from "./empty_state";
import { FailureNote } from "./failure_note";
import { FeedRow } from "./feed_row";
import { Lines } from "./skeletons";

interface Props {
  readonly client: Client;
  readonly agencyId: string;
  readonly data: AgencyData;
  readonly models: ReadonlyMap<string, Model>;
}

const SETTLED = 2_000;

/** Transactions as they happen, newest first. */
export function LiveFeed({ client, agencyId, data, models }: Props) {
  const snapshot = useResource(data.feed);
  const feed = snapshot.value;
  const arrived = useArrivals(feed);
  useMarks(feed);
  return (
    <section
      id="live"
      aria-labelledby="live-title"
      className="card flex min-w-0 flex-col max-h-[80dvh] lg:sticky lg:top-20 lg:max-h-[calc(100dvh-6rem)]"
    >
      <div className="flex items-center justify-between px-5 pt-5 pb-3">
        <h2 id="live-title" className="card-title">
          Live
        </h2>
        <p className="text-sm text-muted">Newest first</p>
      </div>
      <div className="min-h-0 flex-1 overflow-y-auto px-2 pb-3">
        <FailureNote snapshot={snapshot} what="The transactions" onRetry={data.feed.refresh} />
        {feed === null && snapshot.failure === null && (
          <div className="px-3">
            <Lines count={8} label="Loading transactions" />
          </div>
        )}
        {feed?.rows.length === 0 && (
          <EmptyState icon={Inbox} title="No transactions yet">
            <p>The next sale appears here by itself.</p>
          </EmptyState>
        )}
        <ol data-testid="feed" aria-label="Transactions, newest first">
          {feed?.rows.map((sale) => (
            <FeedRow
              key={sale.id}
              sale={sale}
              model={models.get(sale.model_id)}
              isNew={arrived.has(sale.id)}
            />
          ))}
        </ol>
        {feed?.hasMore && (
          <LoadMore client={client} agencyId={agencyId} data={data} last={feed.rows.at(-1)} />
        )}
      </div>
      <Announcer feed={feed} models={models} />
    </section>
  );
}

interface LoadMoreProps {
  readonly client: Client;
  readonly agencyId: string;
  readonly data: AgencyData;
  readonly last: Sale | undefined;
}

function LoadMore({ client, agencyId, data, last }: LoadMoreProps) {
  const [isBusy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState<string | null>(null);

  async function load() {
    if (last === undefined) return;
    setBusy(true);
    setTrouble(null);
    try {
      const older = await fetchOlder(client, agencyId, last);
      data.feed.update((feed) => appendOlder(feed, older));
    } catch (error) {
      setTrouble(Failure.from(error).sentence);
    }
    setBusy(false);
  }

  return (
    <div className="px-3 pt-3">
      {trouble !== null && (
        <p role="alert" className="mb-2 text-sm text-bad">
          {trouble}
        </p>
      )}
      <button
        type="button"
        className="button-quiet w-full"
        onClick={load}
        disabled={isBusy}
        data-testid="load-more"
      >
        {isBusy ? "Loading…" : trouble === null ? "Load more" : "Try again"}
      </button>
    </div>
  );
}

/** Returns the rows that slid in just now. */
function useArrivals(feed: Feed | null): ReadonlySet<string> {
  const before = useRef<Feed | null>(null);
  const [arrived, setArrived] = useState<ReadonlySet<string>>(new Set());
  useLayoutEffect(() => {
    const fresh = before.current === null || feed === null ? [] : arrivals(before.current, feed);
    before.current = feed;
    if (fresh.length > 0) setArrived(new Set(fresh.map(({ id }) => id)));
  }, [feed]);
  useEffect(() => {
    if (arrived.size === 0) return;
    const timer = setTimeout(() => setArrived(new Set()), SETTLED);
    return () => clearTimeout(timer);
  }, [arrived]);
  return arrived;
}

/** Marks the moment at which a sale is on screen, for whoever measures. */
function useMarks(feed: Feed | null): void {
  const marked = useRef(new Set<string>());
  useEffect(() => {
    for (const { fanvue_id: name } of feed?.rows ?? []) {
      if (marked.current.has(name)) continue;
      marked.current.add(name);
      performance.mark(`sale:${name}`);
    }
  }, [feed]);
}
