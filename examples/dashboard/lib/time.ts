/**
 * Instants and days in words. Days are UTC days, as the figures are; clock times are the reader's.
 */

const STEPS: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];
const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "always", style: "narrow" });
const EXACT = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium" });
const DAY_SHORT = new Intl.DateTimeFormat("en", {
  day: "numeric",
  month: "short",
  timeZone: "UTC",
});
const DAY_LONG = new Intl.DateTimeFormat("en", {
  weekday: "short",
  day: "numeric",
  month: "short",
  year: "numeric",
  timeZone: "UTC",
});

/** "just now", "5m ago", "in 3h". */
export function relativeTime(instant: string | number, now: number): string {
  const seconds = Math.round((toMilliseconds(instant) - now) / 1000);
  const size = Math.abs(seconds);
  for (const [unit, length] of STEPS) {
    if (size >= length) return RELATIVE.format(Math.trunc(seconds / length), unit);
  }
  // Clocks differ a little: a sale of the next second is of now.
  if (seconds <= 5 && seconds > -10) return "just now";
  return RELATIVE.format(seconds, "second");
}

/** "Nov 23, 2026, 6:51:37 AM" in the reader's time zone. */
export function exactTime(instant: string | number): string {
  return EXACT.format(toMilliseconds(instant));
}

/** "Nov 23" for "2026-11-23". */
export function shortDay(day: string): string {
  return DAY_SHORT.format(Date.parse(`${day}T00:00:00Z`));
}

/** "Mon, Nov 23, 2026" for "2026-11-23". */
export function longDay(day: string): string {
  return DAY_LONG.format(Date.parse(`${day}T00:00:00Z`));
}

/** "Oct 25 – Nov 23", or the day itself when it is one. */
export function dayRange(from: string, to: string): string {
  return from === to ? shortDay(from) : `${shortDay(from)} – ${shortDay(to)}`;
}

function toMilliseconds(instant: string | number): number {
  return typeof instant === "number" ? instant : Date.parse(instant);
}
