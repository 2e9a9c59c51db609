"use client";

import { KeyRound } from "lucide-react";
import { type Model, nameOf } from "@/lib/models";
import { relativeTime } from "@/lib/time";
import { useNow } from "@/lib/use_now";
import { ConnectButton, type ConnectTarget } from "./connect_button";

interface Props extends ConnectTarget {
  readonly models: readonly Model[];
}

/** One banner for each creator whose access Fanvue no longer grants. */
export function ReconnectBanners({ models, ...target }: Props) {
  const now = useNow();
  const waiting = models.filter(({ status }) => status === "reauth_required");
  if (waiting.length === 0) return null;
  return (
    <section aria-label="Creators to connect again" className="flex flex-col gap-3">
      {waiting.map((model) => (
        <div
          key={model.id}
          className="card flex flex-wrap items-center gap-x-4 gap-y-3 border-warn/40 bg-warn-soft px-4 py-3"
          data-testid="reconnect-prompt"
          data-model-id={model.id}
        >
          <KeyRound className="size-5 shrink-0 text-warn" aria-hidden="true" />
          <p id={`reconnect-${model.id}`} className="min-w-56 flex-1 text-ink">
            <strong className="font-semibold">
              <bdi>{nameOf(model)}</bdi> must be connected again.
            </strong>{" "}
            {reason(model, now)}
          </p>
          <ConnectButton
            {...target}
            modelId={model.id}
            label="Reconnect"
            describedBy={`reconnect-${model.id}`}
          />
        </div>
      ))}
    </section>
  );
}

function reason({ status_changed_at: since }: Model, now: number): string {
  const when = since === null ? "" : ` ${relativeTime(since, now)}`;
  return `Fanvue stopped granting access${when}. What was synced before is safe; nothing new arrives until then.`;
}
