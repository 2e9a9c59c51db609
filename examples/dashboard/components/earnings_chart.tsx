"use client";

import { ChartColumn, Table2 } from "lucide-react";
import { useId, useMemo, useState } from "react";
import { Bar, BarChart, CartesianGrid, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";
import { type Axis, moneyAxis } from "@/lib/axis";
import { lookOf } from "@/lib/categories";
import { formatCompact, toPixelValue } from "@/lib/money";
import type { Stats } from "@/lib/stats";
import { shortDay } from "@/lib/time";
import { ChartTooltip } from "./chart_tooltip";
import { DayTable } from "./day_table";
import { EmptyState } from "./empty_state";

type Column = { readonly day: string } & { readonly [category: string]: string | number };

/** Money by day, stacked by category; the same as a table for whoever prefers or needs one. */
export function EarningsChart({ stats }: { stats: Stats }) {
  const [isTable, setTable] = useState(false);
  const title = useId();
  const categories = useMemo(() => stats.by_category.map(({ category }) => category), [stats]);
  const Icon = isTable ? ChartColumn : Table2;
  return (
    <section className="card p-5" aria-labelledby={title} data-testid="chart">
      <div className="mb-4 flex flex-wrap items-center justify-between gap-2">
        <h3 id={title} className="card-title">
          Earnings by day
        </h3>
        <button
          type="button"
          className="button-quiet min-h-9 text-sm"
          aria-pressed={isTable}
          onClick={() => setTable(!isTable)}
        >
          <Icon className="size-4" aria-hidden="true" />
          {isTable ? "Show the chart" : "Show as a table"}
        </button>
      </div>
      {categories.length === 0 ? (
        <EmptyState icon={ChartColumn} title="No sales in this period">
          <p>Choose a longer one, or wait: new sales appear by themselves.</p>
        </EmptyState>
      ) : (
        <>
          {!isTable && <Bars stats={stats} categories={categories} />}
          <DayTable stats={stats} categories={categories} isVisible={isTable} />
          {!isTable && <Legend categories={categories} />}
        </>
      )}
    </section>
  );
}

interface BarsProps {
  readonly stats: Stats;
  readonly categories: readonly string[];
}

function Bars({ stats, categories }: BarsProps) {
  const columns = useMemo(() => stats.by_day.map(toColumn), [stats]);
  const axis = useMemo(() => axisOf(stats), [stats]);
  return (
    <div className="h-64 sm:h-72" aria-hidden="true">
      <ResponsiveContainer
        width="100%"
        height="100%"
        initialDimension={{ width: 640, height: 270 }}
      >
        <BarChart
          data={columns}
          stackOffset="sign"
          margin={{ top: 10, right: 4, bottom: 0, left: 0 }}
          accessibilityLayer={false}
        >
          <CartesianGrid vertical={false} stroke="var(--line)" />
          <XAxis
            dataKey="day"
            tickFormatter={shortDay}
            tickLine={false}
            axisLine={false}
            minTickGap={28}
            tick={{ fill: "var(--muted)", fontSize: 12 }}
          />
          <YAxis
            domain={axis.domain}
            ticks={axis.ticks}
            interval={0}
            tickFormatter={formatCompact}
            tickLine={false}
            axisLine={false}
            width={52}
            tick={{ fill: "var(--muted)", fontSize: 12 }}
          />
          <Tooltip
            content={({ active, label }) => {
              const row = active ? stats.by_day.find(({ day }) => day === label) : undefined;
              return row === undefined ? null : <ChartTooltip row={row} order={categories} />;
            }}
            cursor={{ fill: "var(--raised)" }}
            isAnimationActive={false}
          />
          {categories.map((category) => (
            <Bar
              key={category}
              dataKey={category}
              stackId="money"
              fill={lookOf(category).colour}
              maxBarSize={40}
              isAnimationActive={false}
            />
          ))}
        </BarChart>
      </ResponsiveContainer>
    </div>
  );
}

function Legend({ categories }: { categories: readonly string[] }) {
  return (
    <ul className="mt-4 flex flex-wrap gap-x-4 gap-y-1.5 text-sm text-muted" aria-label="Colours">
      {categories.map((category) => (
        <li key={category} className="flex items-center gap-1.5">
          <span
            className="size-2.5 rounded-sm"
            style={{ background: lookOf(category).colour }}
            aria-hidden="true"
          />
          {lookOf(category).label}
        </li>
      ))}
    </ul>
  );
}

function toColumn({ day, categories }: Stats["by_day"][number]): Column {
  const heights = Object.entries(categories).map(([name, amount]) => [name, toPixelValue(amount)]);
  return { ...Object.fromEntries(heights), day };
}

function axisOf(stats: Stats): Axis {
  let low = 0;
  let high = 0;
  for (const { categories } of stats.by_day) {
    const heights = Object.values(categories).map(toPixelValue);
    low = Math.min(low, sumOf(heights.filter((height) => height < 0)));
    high = Math.max(high, sumOf(heights.filter((height) => height > 0)));
  }
  return moneyAxis(low, high);
}

function sumOf(heights: readonly number[]): number {
  return heights.reduce((sum, height) => sum + height, 0);
}
