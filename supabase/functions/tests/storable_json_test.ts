import { toStorable } from "../fanvue-webhook/storable_json.ts";
import { assertEquals } from "./assertions.ts";

const CASES: Record<string, [json: string, storable: string | null]> = {
  "ordinary text stays as it is": [
    '{"a":[1,-2.50,"x\\n\\"y\\""],"b":null}',
    '{"a":[1,-2.50,"x\\n\\"y\\""],"b":null}',
  ],
  "NUL becomes the replacement character": [
    '{"\\u0000a":"b\\u0000\\u0000"}',
    '{"\\ufffda":"b\\ufffd\\ufffd"}',
  ],
  "an escaped backslash before u0000 is no NUL": [
    '"\\\\u0000 \\\\\\u0000"',
    '"\\\\u0000 \\\\\\ufffd"',
  ],
  "a surrogate pair stays": ['"\\ud83d\\ude00"', '"\\ud83d\\ude00"'],
  "capitals in escapes are the same": ['"\\uD83D\\uDE00"', '"\\uD83D\\uDE00"'],
  "a high half alone is replaced": ['"\\ud83dx"', '"\\ufffdx"'],
  "a low half alone is replaced": ['"\\ude00"', '"\\ufffd"'],
  "two high halves are one half and a pair": [
    '"\\ud83d\\ud83d\\ude00"',
    '"\\ufffd\\ud83d\\ude00"',
  ],
  "a half at the very end is replaced": ['"\\ud83d"', '"\\ufffd"'],
  "a half before another escape is replaced": [
    '"\\ud83d\\n"',
    '"\\ufffd\\n"',
  ],
  "a bracket in a string opens nothing": [
    `"${"[".repeat(300)}"`,
    `"${"[".repeat(300)}"`,
  ],
  "a number beyond any column becomes text": [
    "[1e999999,-1E-5000,3]",
    '["1e999999","-1E-5000",3]',
  ],
  "a number of very many digits becomes text": [
    `{"a":${"9".repeat(500)}}`,
    `{"a":"${"9".repeat(500)}"}`,
  ],
  "a great but honest number stays": ["[1e300]", "[1e300]"],
  "two hundred levels are kept": [
    "[".repeat(200) + "]".repeat(200),
    "[".repeat(200) + "]".repeat(200),
  ],
  "one level more is too deep": ["[".repeat(201) + "]".repeat(201), null],
};
for (const [name, [json, storable]] of Object.entries(CASES)) {
  Deno.test(`storable JSON: ${name}`, () => {
    JSON.parse(json);
    if (storable !== null) JSON.parse(storable);

    assertEquals(toStorable(json), storable);
  });
}
