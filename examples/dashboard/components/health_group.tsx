"use client";

import { ChevronDown } from "lucide-react";
import { useState } from "react";
import { type StreamHealth, type Tone, toneOf } from "@/lib/health";
import { atHandle, type Model, nameOf } from "@/lib/models";
import type { Client } from "@/lib/project_client";
import { Avatar } from "./avatar";
import { HealthRow, TONE_LOOKS } from "./health_row";

interface Props {
  readonly client: Client;
  readonly model: Model;
  readonly streams: readonly StreamHealth[];
  /** Among many creators only those in trouble are open at first. */
  readonly isCalm: boolean;
  readonly onRequested: () => void;
}

const BRIEFLY: Readonly<Record<string, string>> = {
  "gave up; tried again when due": "gave up",
  "the creator must connect again": "must connect again",
  "waiting for its first sync": "not synced yet",
};
const MIXED: Readonly<Record<Tone, string>> = {
  bad: "in trouble",
  warn: "need a look",
  busy: "syncing",
  good: "fresh",
  calm: "at rest",
};
const WORST: readonly Tone[] = ["bad", "warn", "busy", "good", "calm"];

export function HealthGroup({ client, model, streams, isCalm, onRequested }: Props) {
  const tones = streams.map(({ health }) => toneOf(health));
  const worst = WORST.find((tone) => tones.includes(tone)) ?? "calm";
  const isInTrouble = worst === "bad" || worst === "warn";
  const [chosen, setChosen] = useState<boolean | null>(null);
  const isOpen = chosen ?? (isInTrouble || !isCalm);
  return (
    <details
      className="card group"
      open={isOpen}
      data-testid="health-group"
      data-model-id={model.id}
      onToggle={(event) => {
        // Drawing sets it as well; only a person's choice is kept.
        if (event.currentTarget.open !== isOpen) setChosen(event.currentTarget.open);
      }}
    >
      <summary className="flex items-center gap-3 rounded-2xl px-4 py-3 [&::-webkit-details-marker]:hidden">
        <Avatar name={nameOf(model)} />
        <h3 className="min-w-0 flex-1 truncate font-semibold">
          <bdi>{nameOf(model)}</bdi>
          {model.display_name?.trim() && atHandle(model.handle) !== null && (
            <span className="font-normal text-muted">
              {" "}
              <bdi>{atHandle(model.handle)}</bdi>
            </span>
          )}
        </h3>
        <span className={`pill shrink-0 ${TONE_LOOKS[worst]}`}>{summarise(streams, worst)}</span>
        <ChevronDown
          className="size-4 shrink-0 text-muted transition-transform group-open:rotate-180"
          aria-hidden="true"
        />
      </summary>
      <ul className="border-t border-line px-4 pb-2">
        {streams.map((stream) => (
          <HealthRow
            key={stream.sync_type}
            client={client}
            model={model}
            stream={stream}
            onRequested={onRequested}
          />
        ))}
        {streams.length === 0 && <li className="py-3 text-sm text-muted">{emptyWords(model)}</li>}
      </ul>
    </details>
  );
}

/** Names the worst that there is, and how often; calm streams need no words. */
function summarise(streams: readonly StreamHealth[], worst: Tone): string {
  if (streams.length === 0) return "nothing synced";
  const named = streams.filter(({ health }) => toneOf(health) === worst);
  const words = new Set(named.map(({ health }) => BRIEFLY[health] ?? health));
  if (named.length === streams.length && words.size === 1) return [...words].join();
  if (worst === "good") return "fresh";
  return words.size === 1
    ? `${named.length} ${[...words].join()}`
    : `${named.length} ${MIXED[worst]}`;
}

function emptyWords(model: Model): string {
  return model.status === "active"
    ? "The first sync is about to begin."
    : "Nothing is synced while the creator is not active.";
}
