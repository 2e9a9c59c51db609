"use client";

import { CircleCheck, X } from "lucide-react";
import { type Model, sayConnected } from "@/lib/models";

interface Props {
  readonly query: URLSearchParams;
  readonly changeQuery: (change: (query: URLSearchParams) => void) => void;
  readonly models: readonly Model[] | null;
}

/** Greets whoever comes back from Fanvue, where the data says that the account is connected. */
export function ConnectedNotice({ query, changeQuery, models }: Props) {
  const connected = query.get("connected");
  const said = connected === null ? null : sayConnected(models ?? [], connected);
  if (said === null) return null;
  return (
    <div
      role="status"
      className="flex items-center gap-3 rounded-xl bg-good-soft px-4 py-3 text-good"
      data-testid="connected"
    >
      <CircleCheck className="size-5 shrink-0" aria-hidden="true" />
      <p className="flex-1">
        {said.name !== null && <bdi>{said.name}</bdi>} {said.words}
      </p>
      <button
        type="button"
        className="grid size-9 place-items-center rounded-lg hover:bg-card/60"
        onClick={() => changeQuery((edited) => edited.delete("connected"))}
        aria-label="Dismiss"
      >
        <X className="size-4" aria-hidden="true" />
      </button>
    </div>
  );
}
