// Reads answers of the database, and asks again where one was lost.

import {
  DatabaseAway,
  type FanvueAway,
  FanvueBusy,
} from "../_shared/errors.ts";
import type { Effects } from "./effects.ts";

const REPEAT_AFTER_MS = [250, 1_000];

/** Repeats an idempotent call whose answer was lost, twice at most. */
export async function repeat<Result>(
  call: () => Promise<Result>,
  lost: typeof DatabaseAway | typeof FanvueAway,
  effects: Effects,
): Promise<Result> {
  for (const ms of REPEAT_AFTER_MS) {
    try {
      return await call();
    } catch (error) {
      // A rate limit says itself when to come back.
      if (!(error instanceof lost) || error instanceof FanvueBusy) throw error;
      await effects.pause(ms);
    }
  }
  return await call();
}

export type Row = Readonly<Record<string, unknown>>;

export function fieldsOf(answer: unknown, name: string): Row {
  if (typeof answer === "object" && answer !== null) return answer as Row;
  throw new DatabaseAway(`${name} answered without fields`);
}

export function textOf(row: Row, name: string): string {
  const text = textOrNull(row, name);
  if (text === null) throw new DatabaseAway(`an answer lacks ${name}`);
  return text;
}

export function textOrNull(row: Row, name: string): string | null {
  const value = row[name];
  return typeof value === "string" ? value : null;
}

export function numberOf(row: Row, name: string): number {
  const value = row[name];
  if (typeof value !== "number") {
    throw new DatabaseAway(`an answer lacks ${name}`);
  }
  return value;
}

export function listOf(row: Row, name: string): readonly unknown[] {
  const value = row[name];
  if (!Array.isArray(value)) {
    throw new DatabaseAway(`an answer lacks ${name}`);
  }
  return value;
}
