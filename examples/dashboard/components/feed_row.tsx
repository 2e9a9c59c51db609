"use client";

import { Clock3 } from "lucide-react";
import { memo } from "react";
import { lookOf } from "@/lib/categories";
import type { Sale } from "@/lib/feed";
import { atHandle, type Model, nameOf } from "@/lib/models";
import { formatCents, formatMinorUnits, toCents } from "@/lib/money";
import { exactTime, relativeTime } from "@/lib/time";
import { useNow } from "@/lib/use_now";

interface Props {
  readonly sale: Sale;
  readonly model: Model | undefined;
  readonly isNew: boolean;
}

export const FeedRow = memo(function FeedRow({ sale, model, isNew }: Props) {
  const { label, icon: Icon, colour } = lookOf(sale.category);
  const isReversal = sale.amount.startsWith("-");
  return (
    <li
      className={`flex items-center gap-3 rounded-xl px-3 py-2.5 ${isNew ? "animate-arrive" : ""}`}
      data-testid="feed-row"
      data-transaction-id={sale.id}
      data-fanvue-id={sale.fanvue_id}
      data-model-id={sale.model_id}
      data-origin={sale.origin}
    >
      <span
        className="grid size-9 shrink-0 place-items-center rounded-full"
        style={{ background: `color-mix(in srgb, ${colour} 16%, transparent)`, color: colour }}
      >
        <Icon className="size-4" aria-hidden="true" />
      </span>
      <div className="min-w-0 flex-1">
        <p className="truncate">
          <bdi className="font-medium">{atHandle(sale.fan_handle) ?? "A fan"}</bdi>
          <span className="text-muted">
            {" "}
            → <bdi>{nameOf(model)}</bdi>
          </span>
        </p>
        <p className="truncate text-sm text-muted">
          {label} · <Ago instant={sale.fanvue_created_at} />
          {sale.origin === "webhook" && <Unconfirmed />}
        </p>
      </div>
      <p
        className={`figures text-right font-semibold ${isReversal ? "text-bad" : ""}`}
        data-value={sale.amount}
      >
        {amountOf(sale)}
      </p>
    </li>
  );
});

function Unconfirmed() {
  const words = "To be confirmed by the next sync";
  return (
    <span title={words} className="ml-1.5 inline-block align-[-0.125em]">
      <Clock3 className="size-3.5" aria-hidden="true" />
      <span className="sr-only">{words}</span>
    </span>
  );
}

function Ago({ instant }: { instant: string }) {
  // The shared clock ticks slowly: a sale must not seem to lie ahead.
  const now = useNow();
  return (
    <time dateTime={instant} title={exactTime(instant)}>
      {relativeTime(instant, Math.max(now, Date.parse(instant)))}
    </time>
  );
}

/** A sale in another currency shows what was sent: its dollars are not known yet. */
function amountOf(sale: Sale): string {
  const cents = toCents(sale.amount);
  if (cents === 0n && sale.sent_minor_units !== null && sale.sent_currency !== null) {
    return formatMinorUnits(sale.sent_minor_units, sale.sent_currency);
  }
  return formatCents(cents);
}
