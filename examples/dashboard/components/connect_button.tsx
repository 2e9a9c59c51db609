"use client";

import { ExternalLink, LinkIcon } from "lucide-react";
import { useState } from "react";
import { type Account, connectAddress } from "@/lib/connecting";
import { Failure } from "@/lib/failure";
import type { Client, Project } from "@/lib/project_client";

const TEST_IDS = { creator: "connect", agency: "connect-agency" };

export interface ConnectTarget {
  readonly client: Client;
  readonly project: Project;
  readonly agencyId: string;
}

interface Props extends ConnectTarget {
  readonly account: Account;
  readonly label: string;
  readonly describedBy?: string;
}

/** Leads to Fanvue, where the account's owner allows access, and from there back here. */
export function ConnectButton({ client, project, agencyId, account, label, describedBy }: Props) {
  const [trouble, setTrouble] = useState<string | null>(null);
  const [isLeaving, setLeaving] = useState(false);

  async function leave() {
    setLeaving(true);
    setTrouble(null);
    try {
      window.location.assign(await connectAddress(client, project, agencyId, account));
    } catch (error) {
      setTrouble(Failure.from(error).sentence);
      setLeaving(false);
    }
  }

  const known = account.kind === "agency" ? account.connectionId : account.modelId;
  const Icon = known === null ? LinkIcon : ExternalLink;
  return (
    <div className="flex flex-col items-start gap-1">
      <button
        type="button"
        className="button-primary"
        onClick={leave}
        disabled={isLeaving}
        aria-describedby={describedBy}
        data-testid={known === null ? TEST_IDS[account.kind] : "reconnect"}
        data-account-id={known ?? undefined}
      >
        <Icon className="size-4" aria-hidden="true" />
        {isLeaving ? "Opening Fanvue…" : label}
      </button>
      {trouble !== null && (
        <p role="alert" className="text-sm text-bad" data-testid="connect-error">
          {trouble}
        </p>
      )}
    </div>
  );
}
