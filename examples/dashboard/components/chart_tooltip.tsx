import { lookOf } from "@/lib/categories";
import { formatCents, formatMoney, sumCents } from "@/lib/money";
import { longDay } from "@/lib/time";

interface Props {
  readonly day: string;
  readonly categories: Readonly<Record<string, string>>;
}

/** What a day is made of, under the pointer. */
export function ChartTooltip({ day, categories }: Props) {
  const parts = Object.entries(categories);
  return (
    <div className="rounded-xl border border-line bg-card px-3.5 py-3 text-sm shadow-lg">
      <p className="mb-1.5 flex justify-between gap-6 font-semibold">
        {longDay(day)}
        <span className="figures">{formatCents(sumCents(Object.values(categories)))}</span>
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
