"use client";

import { CircleCheck, X } from "lucide-react";
import { type Model, nameOf } from "@/lib/models";

interface Props {
  readonly query: URLSearchParams;
  readonly changeQuery: (change: (query: URLSearchParams) => void) => void;
  readonly models: ReadonlyMap<string, Model>;
}

/** Greets whoever comes back from Fanvue with a connected creator. */
export function ConnectedNotice({ query, changeQuery, models }: Props) {
  const connected = query.get("connected");
  if (connected === null) return null;
  const model = models.get(connected);
  return (
    <div
      role="status"
      className="flex items-center gap-3 rounded-xl bg-good-soft px-4 py-3 text-good"
      data-testid="connected"
    >
      <CircleCheck className="size-5 shrink-0" aria-hidden="true" />
      <p className="flex-1">
        <bdi>{model === undefined ? "The creator" : nameOf(model)}</bdi> is connected; the first
        sync has begun.
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
