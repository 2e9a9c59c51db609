// What a client asks of postgres_changes: event, schema, table and filter of each entry, read into what
// the database stores. Asks the database nothing; values are checked there.

import { createHash } from "node:crypto";

const EVENTS = ["*", "INSERT", "UPDATE", "DELETE"];
const OPERATORS = new Set(["eq", "neq", "lt", "lte", "gt", "gte", "in"]);
const MAX_ID = 2 ** 27 - 1;

export class BindingError extends Error {}

/** The id of an entry: the same for the same entry, never zero. */
export function identify(entry) {
  const digest = createHash("sha256").update(JSON.stringify(entry)).digest();
  return (digest.readUInt32BE(0) % MAX_ID) + 1;
}

/** An entry as the database stores it; throws a BindingError. */
export function readBinding(entry) {
  const given = entry !== null && typeof entry === "object" ? entry : {};
  if (typeof given.schema !== "string" && typeof given.table !== "string") {
    const text =
      "No subscription params provided. Please provide at least a `schema` or `table` to subscribe to: ";
    throw new BindingError(text + inspect(given));
  }
  const event = String(given.event ?? "*").toUpperCase();
  return {
    event: EVENTS.includes(event) ? event : "*",
    schema: given.schema ?? "public",
    table: given.table ?? "*",
    filters: readFilters(given.filter),
  };
}

/** The words in which the server names an entry. */
export function describeBinding({ event, schema, table, filters }) {
  const listed = filters.map(({ column, op, value }) => `{"${column}", "${op}", "${value}"}`);
  return `[event: ${event}, schema: ${schema}, table: ${table}, filters: [${
    listed.join(", ")
  }], select: nil]`;
}

function readFilters(text) {
  if (text === undefined || text === null || text === "") return [];
  const refuse = () => new BindingError(`Error parsing \`filter\` params: ${inspect(text)}`);
  if (typeof text !== "string") throw refuse();
  return split(text).map((part) => {
    const found = /^([^=]+)=([a-z]+)\.(.*)$/s.exec(part.trim());
    if (!found || !OPERATORS.has(found[2])) throw refuse();
    const [, column, op, value] = found;
    if (op !== "in") return { column, op, value };
    if (!/^\(.*\)$/s.test(value)) throw refuse();
    const items = split(value.slice(1, -1)).map(unquote);
    return { column, op, value: arrayLiteral(items) };
  });
}

/** Parts between commas that stand in no quotes and no parentheses. */
function split(text) {
  const parts = [""];
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const sign = text[i];
    if (sign === "\\" && quoted) {
      parts[parts.length - 1] += sign + (text[++i] ?? "");
      continue;
    }
    if (sign === '"') quoted = !quoted;
    if (!quoted && sign === "(") depth++;
    if (!quoted && sign === ")") depth--;
    if (sign === "," && depth === 0 && !quoted) parts.push("");
    else parts[parts.length - 1] += sign;
  }
  return parts;
}

function unquote(item) {
  const found = /^"(.*)"$/s.exec(item.trim());
  return found ? found[1].replace(/\\(.)/gs, "$1") : item.trim();
}

function arrayLiteral(items) {
  return `{${items.map((item) => `"${item.replace(/["\\]/g, "\\$&")}"`).join(",")}}`;
}

function inspect(value) {
  return JSON.stringify(value);
}
