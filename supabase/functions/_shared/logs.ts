// One JSON line per event. Fields are named one by one by the caller, so nothing secret slips in.

export type Fields = Record<string, string | number | boolean | null>;

export type Log = (event: string, fields: Fields) => void;

const LONGEST_TEXT = 200;

/** Writes one line to the function's log. */
export function writeLog(event: string, fields: Fields): void {
  console.log(JSON.stringify({ event, ...fields }, shorten));
}

function shorten(_name: string, value: unknown): unknown {
  return typeof value === "string" && value.length > LONGEST_TEXT
    ? `${value.slice(0, LONGEST_TEXT)}…`
    : value;
}

/** What an exception may say in a log: its kind and message, never a stack with values in it. */
export function describe(error: unknown): string {
  return error instanceof Error
    ? `${error.name}: ${error.message}`
    : typeof error;
}
