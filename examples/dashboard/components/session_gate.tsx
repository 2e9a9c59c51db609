"use client";

import type { Project } from "@/lib/project_client";
import { useAddressQuery } from "@/lib/use_address";
import { type SessionState, useSession } from "@/lib/use_session";
import { ConfirmConnection } from "./confirm_connection";
import { Dashboard } from "./dashboard";
import { SignInForm } from "./sign_in_form";
import { DashboardSkeleton } from "./skeletons";

/** Shows the dashboard to whoever is signed in, and the sign-in form to everybody else. */
export function SessionGate({ project }: { project: Project }) {
  const session = useSession(project);
  if (session.client === null || session.userId === undefined) return <DashboardSkeleton />;
  return <OpenGate project={project} session={session} />;
}

function OpenGate({ project, session }: { project: Project; session: SessionState }) {
  const [query, changeQuery] = useAddressQuery();
  const { client, userId = null } = session;
  const nonce = query.get("confirm");
  if (client === null) return null;
  // Whoever comes back from Fanvue by a link has no account here.
  if (nonce !== null) {
    return (
      <ConfirmConnection
        client={client}
        project={project}
        nonce={nonce}
        userId={userId}
        onDismiss={() => changeQuery((edited) => edited.delete("confirm"))}
      />
    );
  }
  if (userId === null) return <SignInForm client={client} notice={session.notice} />;
  return (
    <Dashboard
      key={userId}
      client={client}
      project={project}
      email={session.email}
      onSignOut={session.signOut}
      onSessionEnded={session.renew}
    />
  );
}
