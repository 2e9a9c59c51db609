/**
 * Periods of whole UTC days, both ends included: the days that the database sums up.
 */

export const PRESETS = ["today", "7d", "30d", "90d", "month"] as const;
export type Preset = (typeof PRESETS)[number];
export type Choice = Preset | "custom";

export interface Period {
  readonly choice: Choice;
  readonly from: string;
  readonly to: string;
}

export const LABELS: Readonly<Record<Choice, string>> = {
  today: "Today",
  "7d": "7 days",
  "30d": "30 days",
  "90d": "90 days",
  month: "This month",
  custom: "Custom",
};

export const LONGEST_DAYS = 1100;
const DAY = 86_400_000;
const DATE = /^\d{4}-\d{2}-\d{2}$/;

export function utcDay(instant: number): string {
  return new Date(instant).toISOString().slice(0, 10);
}

export function addDays(day: string, days: number): string {
  return utcDay(Date.parse(`${day}T00:00:00Z`) + days * DAY);
}

export function countDays(from: string, to: string): number {
  return (Date.parse(`${to}T00:00:00Z`) - Date.parse(`${from}T00:00:00Z`)) / DAY + 1;
}

/** Returns the days that a preset means at an instant. */
export function presetPeriod(choice: Preset, now: number): Period {
  const to = utcDay(now);
  switch (choice) {
    case "today":
      return { choice, from: to, to };
    case "7d":
      return { choice, from: addDays(to, -6), to };
    case "30d":
      return { choice, from: addDays(to, -29), to };
    case "90d":
      return { choice, from: addDays(to, -89), to };
    case "month":
      return { choice, from: `${to.slice(0, 8)}01`, to };
  }
}

/** Says what is wrong with days that somebody typed; null when they are fine. */
export function customProblem(from: string, to: string): string | null {
  if (!isDay(from) || !isDay(to)) return "Choose both days.";
  if (from > to) return "The first day must not be after the last one.";
  return countDays(from, to) > LONGEST_DAYS ? `Choose at most ${LONGEST_DAYS} days.` : null;
}

/** Reads a period from the address; anything odd is the last thirty days. */
export function readPeriod(query: URLSearchParams, now: number): Period {
  const choice = query.get("period") ?? "30d";
  if ((PRESETS as readonly string[]).includes(choice)) return presetPeriod(choice as Preset, now);
  const from = query.get("from") ?? "";
  const to = query.get("to") ?? "";
  if (choice === "custom" && customProblem(from, to) === null) return { choice, from, to };
  return presetPeriod("30d", now);
}

export function writePeriod(query: URLSearchParams, period: Period): void {
  query.set("period", period.choice);
  if (period.choice === "custom") {
    query.set("from", period.from);
    query.set("to", period.to);
  } else {
    query.delete("from");
    query.delete("to");
  }
}

function isDay(text: string): boolean {
  return DATE.test(text) && !Number.isNaN(Date.parse(`${text}T00:00:00Z`));
}
