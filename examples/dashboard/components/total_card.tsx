"use client";

import { ArrowDownRight, ArrowRight, ArrowUpRight, Clock3 } from "lucide-react";
import { changeOf, formatCents, formatMinorUnits, formatMoney, toCents } from "@/lib/money";
import type { Stats, Unconfirmed } from "@/lib/stats";
import { dayRange } from "@/lib/time";
import { useCountUp } from "@/lib/use_count_up";

interface Props {
  readonly stats: Stats;
  readonly cache: string | null;
  readonly isOld: boolean;
}

const COUNT = new Intl.NumberFormat("en-US");
const DIRECTIONS = {
  up: { icon: ArrowUpRight, look: "bg-good-soft text-good" },
  down: { icon: ArrowDownRight, look: "bg-bad-soft text-bad" },
  same: { icon: ArrowRight, look: "bg-raised text-muted" },
} as const;

/** The total that counts up while money arrives, and the figures beside it. */
export function TotalCard({ stats, cache, isOld }: Props) {
  const { totals, previous, audience } = stats;
  return (
    <section
      className="card p-5 sm:p-6"
      aria-labelledby="total-title"
      data-testid="figures"
      data-cache={cache ?? undefined}
      data-as-of={stats.as_of}
      data-old={isOld || undefined}
    >
      <div className="flex flex-wrap items-end justify-between gap-x-10 gap-y-5">
        <div>
          <h3 id="total-title" className="text-sm font-medium text-muted">
            Gross earnings
          </h3>
          <Total gross={totals.gross} />
          <Comparison now={totals.gross} previous={previous} />
        </div>
        <dl className="grid grid-cols-2 gap-x-8 gap-y-4 sm:grid-cols-4">
          <Figure label="Net" value={formatMoney(totals.net)} testid="net" exact={totals.net} />
          <Figure
            label="Transactions"
            value={COUNT.format(totals.transactions)}
            testid="transactions"
            exact={String(totals.transactions)}
          />
          <Figure label="Subscribers" value={countOf(audience.subscribers)} testid="subscribers" />
          <Figure label="Followers" value={countOf(audience.followers)} testid="followers" />
        </dl>
      </div>
      <PendingNote unconfirmed={stats.unconfirmed} />
    </section>
  );
}

function Total({ gross }: { gross: string }) {
  const cents = toCents(gross);
  const shown = useCountUp(cents);
  return (
    <p
      className="figures mt-1 text-4xl leading-tight font-semibold tracking-tight sm:text-5xl"
      data-testid="total"
      data-value={gross}
    >
      <span aria-hidden="true">{formatCents(shown)}</span>
      <span className="sr-only">{formatCents(cents)}</span>
    </p>
  );
}

function Comparison({ now, previous }: { now: string; previous: Stats["previous"] }) {
  const change = changeOf(toCents(now), toCents(previous.gross));
  if (change === null)
    return <p className="mt-2 text-sm text-muted">Nothing to compare with yet</p>;
  const { icon: Icon, look } = DIRECTIONS[change.direction];
  return (
    <p className="mt-2 flex flex-wrap items-center gap-2 text-sm text-muted">
      <span className={`pill ${look}`} data-testid="change">
        <Icon className="size-3.5" aria-hidden="true" />
        {change.text}
      </span>
      from {formatMoney(previous.gross)}, {dayRange(previous.from, previous.to)}
    </p>
  );
}

interface FigureProps {
  readonly label: string;
  readonly value: string;
  readonly testid: string;
  readonly exact?: string;
}

function Figure({ label, value, testid, exact }: FigureProps) {
  return (
    <div>
      <dt className="text-sm text-muted">{label}</dt>
      <dd
        className="figures mt-0.5 text-lg font-semibold"
        data-testid={testid}
        data-value={exact ?? value}
      >
        {value}
      </dd>
    </div>
  );
}

/** Money that Fanvue announced and has not confirmed yet, above all in other currencies. */
function PendingNote({ unconfirmed }: { unconfirmed: Unconfirmed }) {
  if (unconfirmed.transactions === 0) return null;
  const foreign = unconfirmed.other_currencies.reduce((sum, one) => sum + one.transactions, 0);
  const amounts = unconfirmed.other_currencies
    .map(({ currency, minor_units: units }) => formatMinorUnits(units, currency))
    .join(", ");
  const inDollars = unconfirmed.transactions - foreign;
  return (
    <p
      className="mt-5 flex items-start gap-2 border-t border-line pt-4 text-sm text-muted"
      data-testid="unconfirmed"
    >
      <Clock3 className="mt-0.5 size-4 shrink-0" aria-hidden="true" />
      <span>
        {foreign > 0 &&
          `${sales(foreign)} in ${foreign === 1 ? "another currency waits" : "other currencies wait"} for Fanvue's dollars (${amounts}). `}
        {inDollars > 0 &&
          `${sales(inDollars)} worth ${formatMoney(unconfirmed.amount)} ${inDollars === 1 ? "is" : "are"} counted and will be confirmed by the next sync.`}
      </span>
    </p>
  );
}

function sales(count: number): string {
  return count === 1 ? "1 sale" : `${COUNT.format(count)} sales`;
}

function countOf(count: number | null): string {
  return count === null ? "–" : COUNT.format(count);
}
