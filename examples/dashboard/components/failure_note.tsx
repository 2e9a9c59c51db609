"use client";

import { RotateCw, TriangleAlert } from "lucide-react";
import type { Snapshot } from "@/lib/resource";
import { relativeTime } from "@/lib/time";
import { useNow } from "@/lib/use_now";

interface Props {
  readonly snapshot: Snapshot<unknown>;
  readonly what: string;
  readonly onRetry: () => void;
}

/** Says why something could not be fetched, and how old what stands there is. */
export function FailureNote({ snapshot, what, onRetry }: Props) {
  const now = useNow();
  if (snapshot.failure === null) return null;
  return (
    <div
      role="alert"
      data-testid="failure"
      className="flex flex-wrap items-center gap-x-3 gap-y-2 rounded-xl bg-bad-soft px-4 py-3 text-bad"
    >
      <TriangleAlert className="size-4 shrink-0" aria-hidden="true" />
      <p className="min-w-48 flex-1">
        {snapshot.failure.sentence}{" "}
        {snapshot.fetchedAt === null
          ? `${what} could not be loaded.`
          : `What you see is from ${relativeTime(snapshot.fetchedAt, Math.max(now, snapshot.fetchedAt))}.`}
      </p>
      <button type="button" className="button-quiet" onClick={onRetry} disabled={snapshot.busy}>
        <RotateCw className="size-4" aria-hidden="true" />
        Try again
      </button>
    </div>
  );
}
