"use client";

import { KeyRound } from "lucide-react";
import { type Model, nameOf, waitingAccounts } from "@/lib/models";
import { relativeTime } from "@/lib/time";
import { useNow } from "@/lib/use_now";
import { ConnectButton, type ConnectTarget } from "./connect_button";

interface Props extends ConnectTarget {
  readonly models: readonly Model[];
}

/** One banner for each account whose access Fanvue no longer grants: a creator's, or the agency's. */
export function ReconnectBanners({ models, ...target }: Props) {
  const now = useNow();
  const accounts = waitingAccounts(models);
  if (accounts.length === 0) return null;
  return (
    <section aria-label="Accounts to connect again" className="flex flex-col gap-3">
      {accounts.map((behind) => (
        <Banner key={behind[0]?.id} behind={behind} now={now} {...target} />
      ))}
    </section>
  );
}

interface BannerProps extends ConnectTarget {
  /** The creators who wait for the account. */
  readonly behind: readonly Model[];
  readonly now: number;
}

function Banner({ behind, now, ...target }: BannerProps) {
  const [first] = behind;
  if (first === undefined) return null;
  const { connection_id: connectionId } = first;
  return (
    <div
      className="card flex flex-wrap items-center gap-x-4 gap-y-3 border-warn/40 bg-warn-soft px-4 py-3"
      data-testid="reconnect-prompt"
      data-model-id={first.id}
      data-connection-id={connectionId ?? undefined}
    >
      <KeyRound className="size-5 shrink-0 text-warn" aria-hidden="true" />
      <p id={`reconnect-${first.id}`} className="min-w-56 flex-1 text-ink">
        <strong className="font-semibold">
          {connectionId === null ? <bdi>{nameOf(first)}</bdi> : "The agency's Fanvue account"} must
          be connected again.
        </strong>{" "}
        {connectionId !== null && <Waiting behind={behind} />}
        {reason(first, now)}
      </p>
      <ConnectButton
        {...target}
        account={
          connectionId === null
            ? { kind: "creator", modelId: first.id }
            : { kind: "agency", connectionId }
        }
        label="Reconnect"
        describedBy={`reconnect-${first.id}`}
      />
    </div>
  );
}

function Waiting({ behind }: { readonly behind: readonly Model[] }) {
  const [first] = behind;
  return behind.length === 1 ? (
    <>
      <bdi>{nameOf(first)}</bdi> waits for it.{" "}
    </>
  ) : (
    `${behind.length} creators wait for it. `
  );
}

function reason({ status_changed_at: since }: Model, now: number): string {
  const when = since === null ? "" : ` ${relativeTime(since, now)}`;
  return `Fanvue stopped granting access${when}. What was synced before is safe; nothing new arrives until then.`;
}
