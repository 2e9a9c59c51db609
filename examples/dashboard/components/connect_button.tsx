"use client";

import { ExternalLink, LinkIcon } from "lucide-react";
import { useState } from "react";
import { Failure } from "@/lib/failure";
import { connectAddress } from "@/lib/models";
import type { Client, Project } from "@/lib/project_client";

export interface ConnectTarget {
  readonly client: Client;
  readonly project: Project;
  readonly agencyId: string;
}

interface Props extends ConnectTarget {
  /** The creator to connect again; null for one that is new. */
  readonly modelId: string | null;
  readonly label: string;
  readonly describedBy?: string;
}

/** Leads to Fanvue, where the creator allows access, and from there back here. */
export function ConnectButton({ client, project, agencyId, modelId, label, describedBy }: Props) {
  const [trouble, setTrouble] = useState<string | null>(null);
  const [isLeaving, setLeaving] = useState(false);

  async function leave() {
    setLeaving(true);
    setTrouble(null);
    try {
      window.location.assign(await connectAddress(client, project, agencyId, modelId));
    } catch (error) {
      setTrouble(Failure.from(error).sentence);
      setLeaving(false);
    }
  }

  const Icon = modelId === null ? LinkIcon : ExternalLink;
  return (
    <div className="flex flex-col items-start gap-1">
      <button
        type="button"
        className="button-primary"
        onClick={leave}
        disabled={isLeaving}
        aria-describedby={describedBy}
        data-testid={modelId === null ? "connect" : "reconnect"}
        data-model-id={modelId ?? undefined}
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
