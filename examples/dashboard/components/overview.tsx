"use client";

import { UserPlus } from "lucide-react";
import { useEffect } from "react";
import type { AgencyData } from "@/lib/agency_data";
import type { Model } from "@/lib/models";
import type { Period } from "@/lib/period";
import { Resource } from "@/lib/resource";
import { fetchStats, type StatsAnswer } from "@/lib/stats";
import { useOwnResource, useResource } from "@/lib/use_resource";
import { CategoryList } from "./category_list";
import type { ConnectTarget } from "./connect_button";
import { ConnectChoices } from "./connect_choices";
import { CreatorList } from "./creator_list";
import { EarningsChart } from "./earnings_chart";
import { EmptyState } from "./empty_state";
import { FailureNote } from "./failure_note";
import { PeriodPicker } from "./period_picker";
import { FiguresSkeleton } from "./skeletons";
import { TopFanList } from "./top_fan_list";
import { TotalCard } from "./total_card";

interface Props extends ConnectTarget {
  readonly data: AgencyData;
  readonly models: ReadonlyMap<string, Model>;
  readonly period: Period;
  readonly today: string;
  readonly onPeriod: (period: Period) => void;
}

// Functions are counted by the call: the first change shows at once, those of a burst together.
const SUMS_GAP_MS = 10_000;

/** The agency's money of a period. */
export function Overview({ data, models, period, today, onPeriod, ...target }: Props) {
  const { client, project, agencyId } = target;
  const { from, to } = period;
  const resource = useOwnResource(
    () =>
      new Resource<StatsAnswer>(
        (before, signal) => fetchStats(client, project, agencyId, { from, to }, before, signal),
        SUMS_GAP_MS,
      ),
    [client, project, agencyId, from, to],
  );
  useEffect(() => data.watchSums(resource.refresh), [data, resource]);
  const snapshot = useResource(resource);
  const stats = snapshot.value?.stats;
  useEffect(() => {
    if (stats !== undefined) data.noteStamp(stats.stamp);
  }, [data, stats]);
  const { failure } = snapshot;
  useEffect(() => {
    if (failure?.isForbidden) data.reportRefusal();
  }, [data, failure]);

  return (
    <section id="overview" aria-labelledby="overview-title" className="flex min-w-0 flex-col gap-4">
      <h2 id="overview-title" className="sr-only">
        Figures
      </h2>
      <PeriodPicker period={period} today={today} onChoose={onPeriod} />
      <FailureNote snapshot={snapshot} what="The figures" onRetry={resource.refresh} />
      {stats === undefined && snapshot.failure === null && <FiguresSkeleton />}
      {stats !== undefined && (
        <>
          <TotalCard
            stats={stats}
            cache={snapshot.value?.cache ?? null}
            isOld={snapshot.failure !== null}
          />
          {stats.by_model.length === 0 ? (
            <div className="card">
              <EmptyState icon={UserPlus} title="No creators yet">
                <p className="mb-2">Connect the first one; the history is read by itself.</p>
                <ConnectChoices {...target} />
              </EmptyState>
            </div>
          ) : (
            <>
              <EarningsChart stats={stats} />
              <div className="grid items-start gap-4 md:grid-cols-2">
                <div className="flex min-w-0 flex-col gap-4">
                  <CreatorList stats={stats} models={models} {...target} />
                  <TopFanList stats={stats} models={models} />
                </div>
                <CategoryList stats={stats} />
              </div>
            </>
          )}
        </>
      )}
    </section>
  );
}
