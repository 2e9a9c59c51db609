"use client";

import { Building2 } from "lucide-react";
import { useEffect, useLayoutEffect, useState } from "react";
import { type Agency, chooseAgency, fetchAgencies } from "@/lib/models";
import type { Client, Project } from "@/lib/project_client";
import { Resource } from "@/lib/resource";
import { useAddressQuery } from "@/lib/use_address";
import { useOwnResource, useResource } from "@/lib/use_resource";
import { AgencyView } from "./agency_view";
import { EmptyState } from "./empty_state";
import { FailureNote } from "./failure_note";
import { Header } from "./header";
import { NoLongerMember } from "./no_longer_member";
import { DashboardSkeleton } from "./skeletons";

interface Props {
  readonly client: Client;
  readonly project: Project;
  readonly email: string | null;
  readonly onSignOut: () => void;
  readonly onSessionEnded: () => Promise<boolean>;
}

/** Everything behind the sign-in: which agency, and its view. */
export function Dashboard({ client, project, email, onSignOut, onSessionEnded }: Props) {
  const [query, changeQuery] = useAddressQuery();
  const resource = useOwnResource(
    () => new Resource<Agency[]>((_, signal) => fetchAgencies(client, signal)),
    [client],
  );
  const snapshot = useResource(resource);
  const agencies = snapshot.value;
  const [onScreen, setOnScreen] = useState<Agency | null>(null);
  const choice = agencies && chooseAgency(agencies, query.get("agency"), onScreen);
  const agency = choice?.agency;
  if (agency !== undefined && agency !== onScreen) setOnScreen(agency);
  const isLost = choice?.isLost === true;
  const isSignedOut = snapshot.failure?.isSignedOut === true;

  useEffect(() => {
    if (isSignedOut) void onSessionEnded().then((isBack) => isBack && resource.refresh());
  }, [isSignedOut, onSessionEnded, resource]);

  // Several refusals tell of one departure: what the later ones asked for is asked no more.
  useLayoutEffect(() => {
    if (!isLost) return;
    resource.close();
    return () => resource.open();
  }, [isLost, resource]);

  if (agencies === null && snapshot.failure === null) return <DashboardSkeleton />;
  const choose = (id: string) => changeQuery((edited) => edited.set("agency", id));
  if (choice !== null && isLost) {
    return (
      <>
        <Header email={email} onSignOut={onSignOut} agencies={[]} agencyId={null} />
        <main className="mx-auto max-w-xl p-4 sm:p-6">
          <NoLongerMember name={choice.agency.name} others={agencies ?? []} onChoose={choose} />
        </main>
      </>
    );
  }
  const header = { email, onSignOut, agencies: agencies ?? [], agencyId: agency?.id ?? null };
  if (agency === undefined) {
    return (
      <>
        <Header {...header} />
        <main className="mx-auto max-w-xl p-4 sm:p-6">
          <FailureNote snapshot={snapshot} what="Your agencies" onRetry={resource.refresh} />
          {agencies !== null && (
            <div className="card">
              <EmptyState icon={Building2} title="You belong to no agency yet">
                <p>Ask the owner of your agency to add {email ?? "your account"} as a member.</p>
              </EmptyState>
            </div>
          )}
        </main>
      </>
    );
  }
  return (
    <AgencyView
      key={agency.id}
      client={client}
      project={project}
      agency={agency}
      query={query}
      changeQuery={changeQuery}
      onSessionEnded={onSessionEnded}
      onRefused={resource.refresh}
      header={{ ...header, onChooseAgency: choose }}
    />
  );
}
