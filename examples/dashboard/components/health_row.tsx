"use client";

import { RefreshCw } from "lucide-react";
import { useState } from "react";
import { toSentence } from "@/lib/failure";
import {
  isUnderWay,
  requestSync,
  type StreamHealth,
  streamLabel,
  type Tone,
  toneOf,
} from "@/lib/health";
import { type Model, nameOf } from "@/lib/models";
import type { Client } from "@/lib/project_client";
import { exactTime, relativeTime } from "@/lib/time";
import { useNow } from "@/lib/use_now";
import { WalkProgress } from "./walk_progress";

export const TONE_LOOKS: Readonly<Record<Tone, string>> = {
  good: "bg-good-soft text-good",
  busy: "bg-busy-soft text-busy",
  calm: "bg-raised text-muted",
  warn: "bg-warn-soft text-warn",
  bad: "bg-bad-soft text-bad",
};

const SOON = 10_000;
const OVERDUE = 60_000;

interface Props {
  readonly client: Client;
  readonly model: Model;
  readonly stream: StreamHealth;
  readonly onRequested: () => void;
}

export function HealthRow({ client, model, stream, onRequested }: Props) {
  const now = useNow();
  const tone = toneOf(stream.health);
  const isLate = stream.health === "late";
  return (
    <li
      className={`-mx-4 border-t border-line px-4 py-3 first:border-0 ${isLate ? "bg-warn-soft/40" : ""}`}
      data-testid="health-row"
      data-model-id={stream.model_id}
      data-sync-type={stream.sync_type}
      data-health={stream.health}
      data-job-state={stream.job_state ?? undefined}
    >
      <div className="flex items-center gap-3">
        <div className="min-w-0 flex-1">
          <div className="flex flex-wrap items-center gap-x-2.5 gap-y-1">
            <span className="font-medium">{streamLabel(stream.sync_type)}</span>
            <span className={`pill ${TONE_LOOKS[tone]}`}>{stream.health}</span>
          </div>
          <p className="mt-0.5 text-sm text-muted">{times(stream, now)}</p>
        </div>
        <SyncButton client={client} model={model} stream={stream} onRequested={onRequested} />
      </div>
      {isUnderWay(stream, now) &&
        stream.job_state === "running" &&
        stream.job_progress !== null && (
          <WalkProgress progress={stream.job_progress} label={streamLabel(stream.sync_type)} />
        )}
      {stream.last_error?.message !== undefined && (
        <p className="mt-1.5 text-sm break-words text-ink" data-testid="last-error">
          {toSentence(stream.last_error.message)}
          {stream.last_error.remedy !== undefined && (
            <span className="text-muted"> {remedyWords(stream.last_error.remedy)}</span>
          )}
        </p>
      )}
    </li>
  );
}

function times(stream: StreamHealth, now: number) {
  const { last_success_at: last, next_sync_at: next } = stream;
  return (
    <>
      {last === null ? "Never finished yet" : "Synced "}
      {last !== null && <Moment instant={last} words={relativeTime(last, now)} />}
      {next !== null && " · "}
      {next !== null && <Moment instant={next} words={nextWords(Date.parse(next), now)} />}
    </>
  );
}

function Moment({ instant, words }: { instant: string; words: string }) {
  return (
    <time dateTime={instant} title={exactTime(instant)}>
      {words}
    </time>
  );
}

/** Remedies are written for operators; here "nothing" is what the reader has to do. */
function remedyWords(remedy: string): string {
  return toSentence(remedy.replace(/^nothing: /i, ""));
}

function nextWords(next: number, now: number): string {
  if (next > now + SOON) return `next ${relativeTime(next, now)}`;
  return next < now - OVERDUE ? `was due ${relativeTime(next, now)}` : "due now";
}

function SyncButton({ client, model, stream, onRequested }: Props) {
  const now = useNow();
  const [isAsking, setAsking] = useState(false);
  const [refusal, setRefusal] = useState<string | null>(null);
  const isBusy = isUnderWay(stream, now);
  const isActive = model.status === "active";

  const words = isBusy ? (stream.job_state === "running" ? "Syncing" : "Queued") : "Sync now";

  async function ask() {
    setAsking(true);
    setRefusal(null);
    const failure = await requestSync(client, stream.model_id, stream.sync_type);
    setRefusal(failure?.sentence ?? null);
    setAsking(false);
    onRequested();
  }

  return (
    <div className="flex max-w-44 flex-col items-end gap-1">
      <button
        type="button"
        className="button-quiet min-h-9 text-sm max-sm:min-h-11"
        onClick={ask}
        disabled={isAsking || isBusy || !isActive}
        aria-label={`${words}: ${streamLabel(stream.sync_type)} of ${nameOf(model)}`}
        data-testid="sync-now"
        data-model-id={stream.model_id}
        data-sync-type={stream.sync_type}
      >
        <RefreshCw
          className={`size-4 ${isBusy ? "motion-safe:animate-spin" : ""}`}
          aria-hidden="true"
        />
        <span className="max-sm:sr-only">{words}</span>
      </button>
      <p
        role="status"
        className="text-right text-xs text-warn empty:hidden"
        data-testid="sync-refusal"
      >
        {refusal}
      </p>
    </div>
  );
}
