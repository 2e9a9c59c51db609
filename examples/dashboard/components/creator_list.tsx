"use client";

import { Plus } from "lucide-react";
import { useState } from "react";
import { type Model, nameOf } from "@/lib/models";
import { changeOf, formatMoney, shareOf, toCents } from "@/lib/money";
import type { ModelSums, Stats } from "@/lib/stats";
import { Avatar } from "./avatar";
import type { ConnectTarget } from "./connect_button";
import { ConnectChoices } from "./connect_choices";

const FIRST = 8;
const STATUS_WORDS: Readonly<Record<string, string>> = {
  paused: "Paused",
  reauth_required: "Connect again",
};

interface Props extends ConnectTarget {
  readonly stats: Stats;
  readonly models: ReadonlyMap<string, Model>;
}

/** Who earned how much, largest first. */
export function CreatorList({ stats, models, ...target }: Props) {
  const [isWhole, setWhole] = useState(false);
  const shown = isWhole ? stats.by_model : stats.by_model.slice(0, FIRST);
  const largest = toCents(stats.by_model[0]?.gross ?? "0.00");
  const total = toCents(stats.totals.gross);
  return (
    <section className="card p-5" aria-labelledby="creators-title" data-testid="creators">
      <h3 id="creators-title" className="card-title mb-4">
        Creators
      </h3>
      <ol className="flex flex-col gap-4">
        {shown.map((model) => (
          <CreatorRow
            key={model.model_id}
            model={model}
            name={nameOf(models.get(model.model_id) ?? model)}
            largest={largest}
            total={total}
          />
        ))}
      </ol>
      <div className="mt-5 flex flex-wrap gap-2">
        {stats.by_model.length > FIRST && (
          <button
            type="button"
            className="button-quiet"
            aria-expanded={isWhole}
            onClick={() => setWhole(!isWhole)}
          >
            {isWhole ? "Show fewer" : `Show all ${stats.by_model.length}`}
          </button>
        )}
        <details className="group min-w-0">
          <summary className="button-quiet list-none [&::-webkit-details-marker]:hidden">
            <Plus className="size-4" aria-hidden="true" />
            Add a creator
          </summary>
          <div className="mt-3 flex flex-col gap-3 text-sm text-muted">
            <ConnectChoices {...target} />
          </div>
        </details>
      </div>
    </section>
  );
}

interface RowProps {
  readonly model: ModelSums;
  readonly name: string;
  readonly largest: bigint;
  readonly total: bigint;
}

function CreatorRow({ model, name, largest, total }: RowProps) {
  const gross = toCents(model.gross);
  const change = changeOf(gross, toCents(model.previous_gross));
  const status = STATUS_WORDS[model.status];
  return (
    <li className="flex items-center gap-3" data-testid="creator" data-model-id={model.model_id}>
      <Avatar name={name} />
      <div className="min-w-0 flex-1">
        <div className="flex items-baseline justify-between gap-3">
          <p className="min-w-0 truncate font-medium">
            <bdi>{name}</bdi>
            {status !== undefined && (
              <span className="pill ml-2 bg-warn-soft py-0 align-middle text-xs text-warn">
                {status}
              </span>
            )}
          </p>
          <p className="figures font-semibold" data-value={model.gross}>
            {formatMoney(model.gross)}
          </p>
        </div>
        <div className="visible-bar mt-1.5" aria-hidden="true">
          <div
            className="h-full rounded-full bg-(--chart-1)"
            style={{ width: `${shareOf(gross, largest)}%` }}
          />
        </div>
        <p className="mt-1 flex justify-between gap-3 text-xs text-muted">
          <span>{shareOf(gross, total).toFixed(1)} % of the agency</span>
          {change !== null && (
            <span
              className={
                change.direction === "down"
                  ? "text-bad"
                  : change.direction === "up"
                    ? "text-good"
                    : ""
              }
            >
              {change.text}
            </span>
          )}
        </p>
      </div>
    </li>
  );
}
