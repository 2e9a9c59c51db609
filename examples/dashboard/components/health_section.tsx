"use client";

import { Activity } from "lucide-react";
import { useMemo } from "react";
import type { AgencyData } from "@/lib/agency_data";
import type { StreamHealth } from "@/lib/health";
import type { Model } from "@/lib/models";
import type { Client } from "@/lib/project_client";
import type { Snapshot } from "@/lib/resource";
import { useResource } from "@/lib/use_resource";
import { EmptyState } from "./empty_state";
import { FailureNote } from "./failure_note";
import { HealthGroup } from "./health_group";
import { Lines } from "./skeletons";

interface Props {
  readonly client: Client;
  readonly data: AgencyData;
  readonly models: Snapshot<Model[]>;
}

/** How fresh every stream of every creator is. */
export function HealthSection({ client, data, models }: Props) {
  const health = useResource(data.health);
  const streams = useMemo(() => groupByModel(health.value ?? []), [health.value]);
  const isEmpty = models.value?.length === 0;
  return (
    <section id="sync" aria-labelledby="sync-title" className="mt-8">
      <div className="mb-3 flex flex-wrap items-baseline justify-between gap-2">
        <h2 id="sync-title" className="text-lg font-semibold tracking-tight">
          Sync health
        </h2>
        <p className="text-sm text-muted">
          Everything syncs by itself; "Sync now" is for the impatient.
        </p>
      </div>
      <div className="flex flex-col gap-3">
        <FailureNote snapshot={health} what="Sync health" onRetry={data.refreshHealth} />
        <FailureNote snapshot={models} what="The creators" onRetry={data.models.refresh} />
        {(health.value === null || models.value === null) && health.failure === null && (
          <Lines count={4} label="Loading sync health" />
        )}
        {isEmpty && (
          <div className="card">
            <EmptyState icon={Activity} title="Nothing to sync yet">
              <p>Connected creators appear here.</p>
            </EmptyState>
          </div>
        )}
        <div className="grid items-start gap-3 xl:grid-cols-2" data-testid="health">
          {models.value?.map((model) => (
            <HealthGroup
              key={model.id}
              client={client}
              model={model}
              streams={streams.get(model.id) ?? []}
              isCalm={(models.value?.length ?? 0) > 6 || isPhone()}
              onRequested={data.refreshHealth}
            />
          ))}
        </div>
      </div>
    </section>
  );
}

function groupByModel(streams: readonly StreamHealth[]): ReadonlyMap<string, StreamHealth[]> {
  const groups = new Map<string, StreamHealth[]>();
  for (const stream of streams) {
    groups.set(stream.model_id, [...(groups.get(stream.model_id) ?? []), stream]);
  }
  return groups;
}

/** On a small screen only what is in trouble is worth the room. */
function isPhone(): boolean {
  return window.matchMedia("(max-width: 40rem)").matches;
}
