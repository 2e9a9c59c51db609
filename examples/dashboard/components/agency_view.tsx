"use client";

import { useEffect, useMemo } from "react";
import type { AgencyData } from "@/lib/agency_data";
import type { Agency, Model } from "@/lib/models";
import { readPeriod, utcDay, writePeriod } from "@/lib/period";
import type { Client, Project } from "@/lib/project_client";
import { useAgencyData } from "@/lib/use_agency";
import { useNow } from "@/lib/use_now";
import { useResource } from "@/lib/use_resource";
import { BottomNavigation } from "./bottom_navigation";
import { ConnectedNotice } from "./connected_notice";
import { ConnectionPill } from "./connection_pill";
import { Header, type HeaderProps } from "./header";
import { HealthSection } from "./health_section";
import { LiveFeed } from "./live_feed";
import { Overview } from "./overview";
import { ReconnectBanners } from "./reconnect_banners";
import { DashboardSkeleton } from "./skeletons";

interface Props {
  readonly client: Client;
  readonly project: Project;
  readonly agency: Agency;
  readonly query: URLSearchParams;
  readonly changeQuery: (change: (query: URLSearchParams) => void) => void;
  readonly header: HeaderProps;
  readonly onSessionEnded: () => Promise<boolean>;
  /** The server refused something: the user may have left the agency. */
  readonly onRefused: () => void;
}

export function AgencyView(props: Props) {
  const data = useAgencyData(props.client, props.agency.id);
  return data === null ? <DashboardSkeleton /> : <OpenAgencyView {...props} data={data} />;
}

function OpenAgencyView(props: Props & { readonly data: AgencyData }) {
  const { data, client, project, agency, query, changeQuery, onSessionEnded, onRefused } = props;
  const today = utcDay(useNow());
  const period = useMemo(() => readPeriod(query, Date.parse(`${today}T00:00:00Z`)), [query, today]);
  const models = useResource(data.models);
  const byId = useMemo(() => indexById(models.value), [models.value]);
  const isSignedOut = models.failure?.isSignedOut === true;

  useEffect(() => {
    if (isSignedOut) void onSessionEnded().then((isBack) => isBack && data.refreshAll());
  }, [isSignedOut, onSessionEnded, data]);

  useEffect(() => data.watchRefusals(onRefused), [data, onRefused]);

  const connect = { client, project, agencyId: agency.id };
  return (
    <>
      <a
        href="#overview"
        className="sr-only focus:not-sr-only focus:fixed focus:top-3 focus:left-3 focus:z-50 focus:rounded-lg focus:bg-card focus:px-4 focus:py-2"
      >
        Skip to the figures
      </a>
      <Header {...props.header}>
        <ConnectionPill data={data} />
      </Header>
      <main className="mx-auto max-w-[90rem] px-4 pt-4 pb-28 sm:px-6 sm:pt-6 lg:pb-10">
        <div className="flex flex-col gap-3 empty:hidden *:last:mb-4">
          <ConnectedNotice query={query} changeQuery={changeQuery} models={models.value} />
          <ReconnectBanners {...connect} models={models.value ?? []} />
        </div>
        <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,1fr)_22rem] xl:grid-cols-[minmax(0,1fr)_25rem]">
          <Overview
            {...connect}
            data={data}
            models={byId}
            period={period}
            today={today}
            onPeriod={(chosen) => changeQuery((edited) => writePeriod(edited, chosen))}
          />
          <LiveFeed client={client} agencyId={agency.id} data={data} models={byId} />
        </div>
        <HealthSection client={client} data={data} models={models} />
      </main>
      <BottomNavigation />
    </>
  );
}

function indexById(models: readonly Model[] | null): ReadonlyMap<string, Model> {
  return new Map(models?.map((model) => [model.id, model]));
}
