/**
 * Money as the database sends it: text with two decimals, US dollars. Sums and comparisons are done
 * in whole cents; a number is made of them only to place pixels.
 */

const DECIMAL = /^(-?)(\d+)(?:\.(\d{1,2}))?$/;
const DOLLARS = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const COMPACT = new Intl.NumberFormat("en-US", {
  notation: "compact",
  maximumFractionDigits: 1,
});
const MINUS = "\u2212";

/** Reads "1234.50" as 123450 cents; anything else is an error, never a guess. */
export function toCents(text: string): bigint {
  const match = DECIMAL.exec(text);
  if (match === null) throw new RangeError(`not an amount: ${text}`);
  const [, sign, dollars = "0", cents = ""] = match;
  const value = BigInt(dollars) * 100n + BigInt(cents.padEnd(2, "0"));
  return sign === "-" ? -value : value;
}

/** Writes 123450 cents as "1234.50", the way the database does. */
export function toDecimal(cents: bigint): string {
  const size = cents < 0n ? -cents : cents;
  const sign = cents < 0n ? "-" : "";
  return `${sign}${size / 100n}.${String(size % 100n).padStart(2, "0")}`;
}

/** Writes 123450 cents as "$1,234.50" for people. */
export function formatCents(cents: bigint): string {
  const size = cents < 0n ? -cents : cents;
  const sign = cents < 0n ? MINUS : "";
  return `${sign}$${DOLLARS.format(size / 100n)}.${String(size % 100n).padStart(2, "0")}`;
}

/** Writes "1234.50" as "$1,234.50" for people. */
export function formatMoney(text: string): string {
  return formatCents(toCents(text));
}

/** Writes an amount with its sign, as changes are written: "+$5.00", "−$5.00". */
export function formatSigned(cents: bigint): string {
  return cents > 0n ? `+${formatCents(cents)}` : formatCents(cents);
}

/** Writes dollars briefly, for the axis of a chart only. */
export function formatCompact(dollars: number): string {
  return `${dollars < 0 ? MINUS : ""}$${COMPACT.format(Math.abs(dollars))}`;
}

/** Returns dollars as a number, for pixels only. */
export function toPixelValue(text: string): number {
  return Number(toCents(text)) / 100;
}

/** Sums amounts exactly. */
export function sumCents(amounts: Iterable<string>): bigint {
  let sum = 0n;
  for (const amount of amounts) sum += toCents(amount);
  return sum;
}

export interface Change {
  readonly direction: "up" | "down" | "same";
  /** For people: "+12.5 %", "new" where there was nothing before. */
  readonly text: string;
}

/** Compares two amounts; null where a percentage would say nothing. */
export function changeOf(now: bigint, before: bigint): Change | null {
  if (now === before) return before === 0n ? null : { direction: "same", text: "0 %" };
  const direction = now > before ? "up" : "down";
  // A percentage of nothing, or of a loss, misleads.
  if (before <= 0n) return { direction, text: formatSigned(now - before) };
  const tenths = ((now - before) * 1000n) / before;
  const size = tenths < 0n ? -tenths : tenths;
  const percent = size >= 1000n ? DOLLARS.format(size / 10n) : `${size / 10n}.${size % 10n}`;
  return { direction, text: `${direction === "up" ? "+" : MINUS}${percent} %` };
}

/** Returns a part of a whole in tenths of a percent, 0 where there is no whole. */
export function shareOf(part: bigint, whole: bigint): number {
  return part <= 0n || whole <= 0n ? 0 : Number((part * 1000n) / whole) / 10;
}

/** Writes minor units of any currency, with the number of decimals that currency has. */
export function formatMinorUnits(minorUnits: number, currency: string): string {
  try {
    const format = new Intl.NumberFormat("en-US", { style: "currency", currency });
    const digits = format.resolvedOptions().maximumFractionDigits ?? 2;
    // A decimal text is formatted exactly; a quotient would be rounded first.
    return format.format(`${minorUnits}E-${digits}` as `${number}`);
  } catch {
    return `${minorUnits} ${currency} (minor units)`;
  }
}
