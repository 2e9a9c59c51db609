import { lookOf } from "@/lib/categories";
import { formatMoney } from "@/lib/money";
import type { Stats } from "@/lib/stats";
import { longDay } from "@/lib/time";

interface Props {
  readonly stats: Stats;
  readonly categories: readonly string[];
  readonly isVisible: boolean;
}

/** The chart's figures as a table, newest day first; always there for screen readers. */
export function DayTable({ stats, categories, isVisible }: Props) {
  return (
    <div
      className={isVisible ? "relative max-h-96 overflow-auto" : "sr-only"}
      tabIndex={isVisible ? 0 : undefined}
    >
      <table className="figures w-full text-sm whitespace-nowrap" data-testid="day-table">
        <caption className="sr-only">Earnings by day and category, US dollars</caption>
        <thead className="sticky top-0 bg-card text-left text-muted">
          <tr>
            <th scope="col" className="py-2 pr-4 font-medium">
              Day
            </th>
            <th scope="col" className="py-2 pr-4 text-right font-medium">
              Total
            </th>
            {categories.map((category) => (
              <th key={category} scope="col" className="py-2 pr-4 text-right font-medium">
                {lookOf(category).label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {stats.by_day.toReversed().map((row) => (
            <tr key={row.day} className="border-t border-line">
              <th scope="row" className="py-1.5 pr-4 text-left font-normal">
                {longDay(row.day)}
              </th>
              <td className="py-1.5 pr-4 text-right font-semibold">{formatMoney(row.gross)}</td>
              {categories.map((category) => (
                <td key={category} className="py-1.5 pr-4 text-right">
                  {formatMoney(row.categories[category] ?? "0.00")}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
