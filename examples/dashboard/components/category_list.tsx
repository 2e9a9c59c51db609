import { lookOf } from "@/lib/categories";
import { formatMoney, shareOf, toCents } from "@/lib/money";
import type { Stats } from "@/lib/stats";

/** What the money was paid for. */
export function CategoryList({ stats }: { stats: Stats }) {
  if (stats.by_category.length === 0) return null;
  const largest = largestOf(stats.by_category.map(({ gross }) => sizeOf(gross)));
  return (
    <section className="card p-5" aria-labelledby="categories-title" data-testid="categories">
      <h3 id="categories-title" className="card-title mb-4">
        Categories
      </h3>
      <ul className="flex flex-col gap-3">
        {stats.by_category.map(({ category, gross, transactions }) => {
          const { label, icon: Icon, colour } = lookOf(category);
          return (
            <li key={category} data-category={category}>
              <div className="flex items-center gap-2.5">
                <Icon className="size-4 shrink-0" style={{ color: colour }} aria-hidden="true" />
                <span className="min-w-0 flex-1 truncate">{label}</span>
                <span className="text-sm text-muted">{transactions.toLocaleString("en-US")}</span>
                <span
                  className={`figures w-28 text-right font-semibold ${gross.startsWith("-") ? "text-bad" : ""}`}
                >
                  {formatMoney(gross)}
                </span>
              </div>
              <div className="visible-bar mt-1.5 ml-6.5" aria-hidden="true">
                <div
                  className="h-full rounded-full"
                  style={{ background: colour, width: `${shareOf(sizeOf(gross), largest)}%` }}
                />
              </div>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

function sizeOf(gross: string): bigint {
  const cents = toCents(gross);
  return cents < 0n ? -cents : cents;
}

function largestOf(sizes: readonly bigint[]): bigint {
  let largest = 0n;
  for (const size of sizes) if (size > largest) largest = size;
  return largest;
}
