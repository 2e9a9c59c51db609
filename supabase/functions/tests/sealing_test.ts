import { Misconfigured, SealBroken } from "../_shared/errors.ts";
import {
  connectionVerifier,
  isSealed,
  Keyring,
  modelColumn,
} from "../_shared/sealing.ts";
import { assert, assertEquals, assertThrows } from "./assertions.ts";
import { connectionVectors, sealingVectors } from "./vectors.ts";

const VECTORS = sealingVectors();
const CONNECTIONS = connectionVectors();

function fromHex(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(
    hex.match(/../g) ?? [],
    (pair) => Number.parseInt(pair, 16),
  );
}

/** The keys of the vectors with this one first, and a nonce that is no chance. */
function keyring(firstId: string, nonceHex: string): Keyring {
  const isFirst = (key: string): boolean => key.startsWith(`${firstId}:`);
  const ordered = [
    ...VECTORS.keys.filter(isFirst),
    ...VECTORS.keys.filter((key) => !isFirst(key)),
  ];
  return Keyring.parse(ordered, () => fromHex(nonceHex));
}

for (const vector of VECTORS.sealed) {
  const place = modelColumn(vector.model_id, vector.column);

  Deno.test(`what the worker sealed opens: ${vector.name}`, async () => {
    const ring = Keyring.parse(VECTORS.keys);

    assertEquals(await ring.open(vector.sealed, place), vector.plaintext);
  });

  Deno.test(`what is sealed here is what the worker seals: ${vector.name}`, async () => {
    const ring = keyring(vector.key_id, vector.nonce_hex);

    assertEquals(await ring.seal(vector.plaintext, place), vector.sealed);
  });
}

for (const vector of VECTORS.refused) {
  Deno.test(`a sealed value does not open: ${vector.name}`, async () => {
    const ring = Keyring.parse(VECTORS.keys);
    const kind = vector.error === "seal_broken" ? SealBroken : Misconfigured;

    const error = await assertThrows(
      () =>
        ring.open(vector.stored, modelColumn(vector.model_id, vector.column)),
      kind,
    );

    assert(!error.message.includes(vector.stored));
  });
}

for (const vector of VECTORS.plain) {
  Deno.test(`plain text is not taken for sealed: ${vector.name}`, async () => {
    const ring = Keyring.parse(VECTORS.keys);

    assert(!isSealed(vector.stored));
    await assertThrows(() => ring.open(vector.stored, "x"), SealBroken);
  });
}

Deno.test("the verifier of a connection is bound to its state", async () => {
  const vector = CONNECTIONS.verifier;
  const place = connectionVerifier(vector.state_hash);
  const ring = Keyring.parse([vector.key], () => fromHex(vector.nonce_hex));

  assertEquals(await ring.seal(vector.plaintext, place), vector.sealed);
  assertEquals(await ring.open(vector.sealed, place), vector.plaintext);
  await assertThrows(
    () => ring.open(vector.sealed, connectionVerifier("0".repeat(64))),
    SealBroken,
  );
});

Deno.test("no two sealed values are alike", async () => {
  const ring = Keyring.parse(VECTORS.keys);

  assert(await ring.seal("same", "here") !== await ring.seal("same", "here"));
});

const WRONG_KEYS: Record<string, string[]> = {
  "none": [],
  "without an id": ["AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="],
  "with an empty id": [":AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="],
  "too short": ["k1:AAEC"],
  "no base64": ["k1:!!!!"],
  "the same id twice": [
    VECTORS.keys[0] ?? "",
    VECTORS.keys[0] ?? "",
  ],
};
for (const [name, keys] of Object.entries(WRONG_KEYS)) {
  Deno.test(`wrong keys are a matter for the operator: ${name}`, async () => {
    const error = await assertThrows(() => Keyring.parse(keys), Misconfigured);

    assert(!error.message.includes("AAEC"));
  });
}

Deno.test("a key may come in either alphabet, padded or not", async () => {
  const standard = VECTORS.keys[1] ?? "";
  const url = standard.replaceAll("+", "-").replaceAll("/", "_").replace(
    /=+$/,
    "",
  );
  assert(url !== standard);

  const sealed = await Keyring.parse([standard]).seal("text", "here");

  assertEquals(await Keyring.parse([url]).open(sealed, "here"), "text");
});
