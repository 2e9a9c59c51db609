import { lookOf } from "@/lib/categories";
import { formatMoney } from "@/lib/money";
import type { DaySums } from "@/lib/stats";
import { longDay } from "@/lib/time";

interface Props {
  readonly row: DaySums;
  /** The order of the columns' parts. */
  readonly order: readonly string[];
}

/** What a day is made of, under the pointer. */
export function ChartTooltip({ row, order }: Props) {
  const parts = order.flatMap((category) => {
    const amount = row.categories[category];
    return amount === undefined ? [] : [[category, amount] as const];
  });
  return (
    <div className="rounded-xl border border-line bg-card px-3.5 py-3 text-sm shadow-lg">
      <p className="mb-1.5 flex justify-between gap-6 font-semibold">
        {longDay(row.day)}
        <span className="figures">{formatMoney(row.gross)}</span>
      </p>
      {parts.length === 0 && <p className="text-muted">No sales</p>}
      <ul className="space-y-0.5">
        {parts.map(([category, amount]) => (
          <li key={category} className="flex items-center gap-2">
            <span className="size-2.5 rounded-sm" style={{ background: lookOf(category).colour }} />
            <span className="flex-1 text-muted">{lookOf(category).label}</span>
            <span className="figures">{formatMoney(amount)}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}
