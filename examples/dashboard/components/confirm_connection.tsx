"use client";

import { CircleCheck, KeyRound } from "lucide-react";
import { useEffect, useState } from "react";
import {
  confirmHeld,
  fetchHeld,
  type HeldConnection,
  type StoredConnection,
} from "@/lib/connecting";
import { Failure } from "@/lib/failure";
import { atHandle } from "@/lib/models";
import type { Client, Project } from "@/lib/project_client";

interface Props {
  readonly client: Client;
  readonly project: Project;
  readonly query: URLSearchParams;
  readonly changeQuery: (change: (query: URLSearchParams) => void) => void;
  readonly onStored: () => void;
}

/** Asks whoever comes back from Fanvue whether its account is for this agency; stores it then. */
export function ConfirmConnection({ client, project, query, changeQuery, onStored }: Props) {
  const nonce = query.get("confirm");
  const [held, setHeld] = useState<HeldConnection | null>(null);
  const [stored, setStored] = useState<StoredConnection | null>(null);
  const [trouble, setTrouble] = useState<string | null>(null);
  const [isStoring, setStoring] = useState(false);

  useEffect(() => {
    if (nonce === null) return;
    let isGone = false;
    fetchHeld(client, project, nonce).then(
      (found) => isGone || setHeld(found),
      (error) => isGone || setTrouble(Failure.from(error).sentence),
    );
    return () => {
      isGone = true;
    };
  }, [client, project, nonce]);

  async function store() {
    if (nonce === null) return;
    setStoring(true);
    setTrouble(null);
    try {
      setStored(await confirmHeld(client, project, nonce));
      changeQuery((edited) => edited.delete("confirm"));
      onStored();
    } catch (error) {
      setTrouble(Failure.from(error).sentence);
    }
    setStoring(false);
  }

  if (stored !== null) return <Stored stored={stored} onDismiss={() => setStored(null)} />;
  if (nonce === null) return null;
  return (
    <section
      aria-label="An account to confirm"
      className="card flex flex-col gap-3 px-4 py-3"
      data-testid="confirm-connection"
    >
      {held !== null && <Question held={held} />}
      {trouble !== null && (
        <p role="alert" className="text-sm text-bad" data-testid="confirm-error">
          {trouble}
        </p>
      )}
      <div className="flex gap-3">
        {held !== null && (
          <button
            type="button"
            className="button-primary"
            onClick={store}
            disabled={isStoring}
            data-testid="confirm"
          >
            {isStoring ? "Connecting…" : "Connect it"}
          </button>
        )}
        <button
          type="button"
          className="button-quiet"
          onClick={() => changeQuery((edited) => edited.delete("confirm"))}
          disabled={isStoring}
        >
          {held === null ? "Dismiss" : "Do not connect"}
        </button>
      </div>
    </section>
  );
}

function Question({ held }: { readonly held: HeldConnection }) {
  return (
    <div className="flex items-start gap-3">
      <KeyRound className="mt-1 size-5 shrink-0 text-warn" aria-hidden="true" />
      <div>
        <p>
          Connect the Fanvue account{" "}
          <strong>
            <bdi>{atHandle(held.account) ?? held.account_uuid}</bdi>
          </strong>{" "}
          to the agency{" "}
          <strong>
            <bdi>{held.agency}</bdi>
          </strong>
          ? Its members will see the money, fans and messages of the {held.creators} creators whom
          it manages.
        </p>
        <p className="mt-1 text-sm text-muted">Fanvue allowed: {held.scopes.join(", ")}</p>
      </div>
    </div>
  );
}

interface StoredProps {
  readonly stored: StoredConnection;
  readonly onDismiss: () => void;
}

function Stored({ stored, onDismiss }: StoredProps) {
  const { refused = 0, kept = 0, ...read } = stored.creators;
  const count = Object.values(read).reduce((sum, one) => sum + one, 0);
  return (
    <div
      role="status"
      className="flex items-center gap-3 rounded-xl bg-good-soft px-4 py-3 text-good"
      data-testid="agency-connected"
    >
      <CircleCheck className="size-5 shrink-0" aria-hidden="true" />
      <p className="flex-1">
        The agency's account is connected; {count} creators are read through it.
        {kept > 0 && ` ${kept} keep a grant of their own.`}
        {refused > 0 && ` ${refused} belong to another agency.`}
      </p>
      <button type="button" className="button-quiet" onClick={onDismiss}>
        Dismiss
      </button>
    </div>
  );
}
