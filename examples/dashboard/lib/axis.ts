/**
 * The marks of a money axis: round steps above zero, and below it no more room than the lowest
 * value needs. A small refund must not press a month of sales into half the chart.
 */

export interface Axis {
  readonly domain: readonly [number, number];
  readonly ticks: readonly number[];
}

const STEPS = [1, 2, 2.5, 5, 10];
const WANTED = 4;

export function moneyAxis(low: number, high: number): Axis {
  const span = Math.max(high, -low, 1);
  const step = roundStep(span / WANTED);
  const top = Math.max(Math.ceil(high / step), low < 0 ? 0 : 1) * step;
  const bottom = Math.min(low, 0);
  const ticks: number[] = [];
  for (let mark = Math.ceil(bottom / step); mark * step <= top; mark += 1) ticks.push(mark * step);
  return { domain: [bottom, top], ticks };
}

function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return (STEPS.find((step) => step * power >= least) ?? 10) * power;
}
