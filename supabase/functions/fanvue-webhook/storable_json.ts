// Makes valid JSON text storable as jsonb without parsing it into values, so amounts keep every
// digit. Replaced is only what Postgres refuses: NUL and halves of surrogate pairs in strings, and
// numbers beyond any column.

const REPLACEMENT = "\\ufffd";
const DEEPEST = 200;
const LONGEST_NUMBER = 400;
const GREATEST_EXPONENT = 400;
const NUMBER = /[0-9.eE+-]+/y;

/** Returns the storable text, or null when it is nested too deeply. The text must be valid JSON. */
export function toStorable(json: string): string | null {
  const pieces: string[] = [];
  let copied = 0;
  let depth = 0;
  let isString = false;

  function replace(from: number, to: number, text: string): void {
    pieces.push(json.slice(copied, from), text);
    copied = to;
  }

  for (let at = 0; at < json.length; at++) {
    const char = json[at] ?? "";
    if (isString) {
      if (char === '"') isString = false;
      if (char !== "\\") continue;
      const end = endOfEscape(json, at);
      if (isRefused(json, at, end)) replace(at, end, REPLACEMENT);
      at = end - 1;
    } else if (char === '"') {
      isString = true;
    } else if (char === "{" || char === "[") {
      if (++depth > DEEPEST) return null;
    } else if (char === "}" || char === "]") {
      depth--;
    } else if (char === "-" || (char >= "0" && char <= "9")) {
      NUMBER.lastIndex = at;
      const literal = NUMBER.exec(json)?.[0] ?? char;
      const end = at + literal.length;
      if (isBeyondColumns(literal)) replace(at, end, `"${literal}"`);
      at = end - 1;
    }
  }
  return pieces.length === 0 ? json : pieces.join("") + json.slice(copied);
}

/** Where an escape ends; a surrogate pair counts as one. */
function endOfEscape(json: string, at: number): number {
  if (json[at + 1] !== "u") return at + 2;
  return isHigh(unitAt(json, at)) && isLow(unitAt(json, at + 6))
    ? at + 12
    : at + 6;
}

function isRefused(json: string, at: number, end: number): boolean {
  if (end !== at + 6) return false;
  const unit = unitAt(json, at);
  return unit === 0 || isHigh(unit) || isLow(unit);
}

/** The code unit that an escape at this place stands for; -1 where there is none. */
function unitAt(json: string, at: number): number {
  return json[at] === "\\" && json[at + 1] === "u"
    ? Number.parseInt(json.slice(at + 2, at + 6), 16)
    : -1;
}

function isHigh(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function isLow(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}

function isBeyondColumns(literal: string): boolean {
  const exponent = Number(literal.split(/[eE]/)[1] ?? 0);
  return literal.length > LONGEST_NUMBER ||
    Math.abs(exponent) > GREATEST_EXPONENT;
}
