import {
  decodeUtf8,
  encodeUtf8,
  fromBase64,
  fromBase64Url,
  isEqual,
  readAtMost,
  sha256,
  toBase64Url,
  toHex,
} from "../_shared/bytes.ts";
import { assert, assertEquals } from "./assertions.ts";

function stream(...chunks: string[]): ReadableStream<Uint8Array> {
  return ReadableStream.from(chunks.map(encodeUtf8));
}

Deno.test("a body is read whole up to the limit, and not at all beyond", async () => {
  assertEquals(
    decodeUtf8(await readAtMost(stream("ab", "", "cd"), 4) ?? encodeUtf8("")),
    "abcd",
  );
  assertEquals(await readAtMost(stream("ab", "cd", "e"), 4), null);
  assertEquals((await readAtMost(null, 4))?.length, 0);
});

// What an answer's coding hides comes out of fetch in blocks of 4 KiB, as they are asked for.
Deno.test("of a body without end no more is opened than the limit", async () => {
  let opened = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      opened += 4096;
      controller.enqueue(new Uint8Array(4096));
    },
  }, { highWaterMark: 0 });

  assertEquals(await readAtMost(body, 1024 * 1024), null);
  assertEquals(opened, 1024 * 1024 + 4096);
});

Deno.test("bytes are equal only when all of them and their number are", () => {
  const bytes = new Uint8Array([1, 2, 0]);

  assert(isEqual(bytes, new Uint8Array([1, 2, 0])));
  assert(!isEqual(bytes, new Uint8Array([1, 2])));
  assert(!isEqual(new Uint8Array([1, 2]), bytes));
  assert(!isEqual(bytes, new Uint8Array([1, 2, 1])));
  assert(isEqual(new Uint8Array(), new Uint8Array()));
});

Deno.test("every byte survives base64url", () => {
  const all = Uint8Array.from({ length: 256 }, (_, index) => index);
  for (const length of [0, 1, 2, 3, 255, 256]) {
    const bytes = all.slice(256 - length);
    const text = toBase64Url(bytes);

    assert(/^[\w-]*$/.test(text));
    assertEquals(toHex(fromBase64Url(text) ?? all), toHex(bytes));
  }
});

for (const text of ["AB", "A", "AA==", "+/+/", "A A A", "AAé", "AAAAA"]) {
  Deno.test(`base64url has one spelling, and this is none: ${text}`, () => {
    assertEquals(fromBase64Url(text), null);
  });
}

Deno.test("what is no base64 is nothing", () => {
  assertEquals(fromBase64("A"), null);
  assertEquals(fromBase64("AA=A"), null);
  assertEquals(fromBase64("AA")?.length, 1);
  assertEquals(fromBase64("AA==")?.length, 1);
});

Deno.test("invalid UTF-8 is no text", () => {
  assertEquals(decodeUtf8(new Uint8Array([0xc3])), null);
  assertEquals(decodeUtf8(encodeUtf8("\ufeffé")), "\ufeffé");
});

Deno.test("SHA-256 of nothing is what it always is", async () => {
  assertEquals(
    toHex(await sha256("")),
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  );
});
