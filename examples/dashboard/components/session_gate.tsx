"use client";

import type { Project } from "@/lib/project_client";
import { useSession } from "@/lib/use_session";
import { Dashboard } from "./dashboard";
import { SignInForm } from "./sign_in_form";
import { DashboardSkeleton } from "./skeletons";

/** Shows the dashboard to whoever is signed in, and the sign-in form to everybody else. */
export function SessionGate({ project }: { project: Project }) {
  const session = useSession(project);
  if (session.client === null || session.userId === undefined) return <DashboardSkeleton />;
  if (session.userId === null) {
    return <SignInForm client={session.client} notice={session.notice} />;
  }
  return (
    <Dashboard
      key={session.userId}
      client={session.client}
      project={project}
      email={session.email}
      onSignOut={session.signOut}
      onSessionEnded={session.renew}
    />
  );
}
