"use client";

import { useEffect, useRef, useState } from "react";
import { arrivals, type Feed, type Sale } from "@/lib/feed";
import { type Model, nameOf } from "@/lib/models";
import { formatCents, formatMoney, sumCents } from "@/lib/money";

interface Props {
  readonly feed: Feed | null;
  readonly models: ReadonlyMap<string, Model>;
}

const PAUSE = 6_000;

/** Says new sales in words, a few seconds apart: a screen reader must not be talked over. */
export function Announcer({ feed, models }: Props) {
  const [sentence, setSentence] = useState("");
  const before = useRef<Feed | null>(null);
  const unsaid = useRef<Sale[]>([]);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const names = useRef(models);
  names.current = models;

  useEffect(() => {
    if (before.current !== null && feed !== null)
      unsaid.current.push(...arrivals(before.current, feed));
    before.current = feed;
    if (unsaid.current.length > 0 && timer.current === undefined) say();

    function say() {
      const sales = unsaid.current.splice(0);
      timer.current = sales.length === 0 ? undefined : setTimeout(say, PAUSE);
      if (sales.length > 0) setSentence(describe(sales, names.current));
    }
  }, [feed]);

  useEffect(() => () => clearTimeout(timer.current), []);

  return (
    <p className="sr-only" aria-live="polite" data-testid="announcement">
      {sentence}
    </p>
  );
}

function describe(sales: readonly Sale[], models: ReadonlyMap<string, Model>): string {
  const [first] = sales;
  if (sales.length > 1 || first === undefined) {
    return `${sales.length} new transactions, ${formatCents(sumCents(sales.map(({ amount }) => amount)))} together.`;
  }
  const what = first.amount.startsWith("-") ? "Reversed" : "New sale";
  return `${what}: ${formatMoney(first.amount)} for ${nameOf(models.get(first.model_id))}.`;
}
