// Forged deliveries: valid ones, each broken in one seeded way. None may reach the database.

import { type Bytes, encodeUtf8 } from "../_shared/bytes.ts";
import { LARGEST_BODY_BYTES } from "../fanvue-webhook/handler.ts";
import { assert, assertEquals } from "./assertions.ts";
import { deliver, NOW_SECONDS, Receiver, sign } from "./deliveries.ts";
import { Random } from "./random.ts";

const DELIVERIES = 4_800;
const SEED = 20_261_122;

interface Forgery {
  body: Bytes;
  header: string | null;
}

type Mutation = (forgery: Forgery, random: Random) => Promise<void> | void;

const UNICODE = "é日🔑\u0000\u200b\ufeff";
const HEX = "0123456789abcdef";

function headerOf(forgery: Forgery): string {
  return forgery.header ?? "";
}

function parts(forgery: Forgery): [time: string, digest: string] {
  const found = /^t=(\d+),v0=([0-9a-f]{64})$/.exec(headerOf(forgery));
  return [found?.[1] ?? "", found?.[2] ?? ""];
}

function splice(text: string, at: number, gone: number, put: string): string {
  return text.slice(0, at) + put + text.slice(at + gone);
}

const MUTATIONS: Record<string, Mutation> = {
  "flips a bit of the body": (forgery, random) => {
    const at = random.below(forgery.body.length);
    forgery.body[at] = (forgery.body[at] ?? 0) ^ (1 << random.below(8));
  },
  "flips a bit of the header": (forgery, random) => {
    const header = headerOf(forgery);
    const at = random.below(header.length);
    const flipped = String.fromCharCode(
      header.charCodeAt(at) ^ (1 << random.below(8)),
    );
    // What HTTP itself cannot carry never arrives, and hex in capitals is the same.
    const isOther = /[^\0\r\nA-F]/.test(flipped);
    forgery.header = splice(header, at, 1, isOther ? flipped : "?");
  },
  "changes a digit of the time": (forgery, random) => {
    const [time] = parts(forgery);
    const at = random.below(time.length);
    const digit = (Number(time[at]) + 1 + random.below(9)) % 10;
    forgery.header = headerOf(forgery).replace(
      time,
      splice(time, at, 1, String(digit)),
    );
  },
  "changes a digit of the signature": (forgery, random) => {
    const [, digest] = parts(forgery);
    const at = random.below(64);
    const other =
      HEX[(HEX.indexOf(digest[at] ?? "") + 1 + random.below(15)) % 16];
    forgery.header = headerOf(forgery).replace(
      digest,
      splice(digest, at, 1, other ?? ""),
    );
  },
  "moves the comma": (forgery, random) => {
    const header = headerOf(forgery);
    const joined = header.replace(",", "");
    const was = header.indexOf(",");
    const at = (was + 1 + random.below(joined.length - 1)) % joined.length;
    forgery.header = splice(joined, at, 0, ",");
  },
  "claims another time": (forgery, random) => {
    const [time] = parts(forgery);
    const shift = (1 + random.below(299)) * (random.below(2) * 2 - 1);
    forgery.header = headerOf(forgery).replace(
      time,
      String(Number(time) + shift),
    );
  },
  "was signed too long ago or ahead": async (forgery, random) => {
    const shift = (301 + random.below(1_000_000)) * (random.below(2) * 2 - 1);
    forgery.header = await sign(forgery.body, NOW_SECONDS + shift);
  },
  "writes the time strangely": async (forgery, random) => {
    const time = random.pick([
      `+${NOW_SECONDS}`,
      `-${NOW_SECONDS}`,
      `${NOW_SECONDS}.5`,
      `0x${NOW_SECONDS.toString(16)}`,
      `${NOW_SECONDS / 1e9}e9`,
      `${NOW_SECONDS}000000`,
      "NaN",
      "Infinity",
      "",
      "١٧٩٥٢٠٩٢٤٦",
    ]);
    const header = await sign(forgery.body, time);
    forgery.header = String.fromCharCode(...encodeUtf8(header));
  },
  "leaves out a part": (forgery, random) => {
    const pieces = headerOf(forgery).split(",");
    pieces.splice(random.below(pieces.length), 1);
    forgery.header = pieces.join(",");
  },
  "repeats the time": (forgery, random) => {
    const [time] = parts(forgery);
    const other = random.pick([String(Number(time) - 1), "", "x"]);
    forgery.header = random.pick([
      `t=${other},${headerOf(forgery)}`,
      `${headerOf(forgery)},t=${other}`,
    ]);
  },
  "puts nonsense beside the signature": (forgery, random) => {
    const length = random.pick([0, 1, 63, 65, 128]);
    forgery.header = `${headerOf(forgery)},v0=${random.text(length, HEX)}`;
  },
  "overwhelms with signatures": (forgery, random) => {
    const wrong = Array.from(
      { length: 8 + random.below(40) },
      () => `v0=${random.text(64, HEX)}`,
    );
    forgery.header = [headerOf(forgery), ...wrong].join(",");
  },
  "names the parts otherwise": (forgery, random) => {
    const [from, to] = random.pick(
      [["t=", "T="], ["v0=", "V0="], ["v0=", "v1="], ["=", ":"], [",", ";"], [
        "v0=",
        "",
      ], ["t=", ""]] as const,
    );
    forgery.header = headerOf(forgery).replace(from, to);
  },
  "puts unicode into the header": (forgery, random) => {
    const header = headerOf(forgery);
    const bytes = String.fromCharCode(...encodeUtf8(random.pick([..."é日🔑"])));
    forgery.header = splice(header, random.below(header.length), 1, bytes);
  },
  "puts unicode into the body": (forgery, random) => {
    const text = new TextDecoder().decode(forgery.body);
    forgery.body = encodeUtf8(
      splice(text, random.below(text.length), 0, random.pick([...UNICODE])),
    );
  },
  "cuts the body": (forgery, random) => {
    forgery.body = forgery.body.slice(0, random.below(forgery.body.length));
  },
  "adds to the body": (forgery, random) => {
    forgery.body = new Uint8Array([
      ...forgery.body,
      ...encodeUtf8(random.pick([" ", "\n", "\0", "{}", ",", "\ufeff"])),
    ]);
  },
  "empties the body": (forgery) => {
    forgery.body = new Uint8Array();
  },
  "has no header": (forgery) => {
    forgery.header = null;
  },
  "has a header of noise": (forgery, random) => {
    forgery.header = random.text(random.below(300), `${HEX},=tv 0;."'\\/-+~`);
  },
  "knows another secret": async (forgery, random) => {
    const secret = random.pick(["x", "made-up-current-secre", "secret "]);
    forgery.header = await sign(forgery.body, NOW_SECONDS, secret);
  },
  "signs something that is no object": async (forgery, random) => {
    forgery.body = encodeUtf8(
      random.pick([
        "",
        "[]",
        "null",
        "7",
        '"x"',
        "{",
        "{}}",
        "tru",
        "\0",
        "{'a':1}",
      ]),
    );
    forgery.header = await sign(forgery.body);
  },
  "signs what is no UTF-8": async (forgery, random) => {
    const tail = random.pick([
      [0xff],
      [0xc3],
      [0xe2, 0x82],
      [0xed, 0xa0, 0x80],
      [
        0xc0,
        0x80,
      ],
    ]);
    forgery.body = new Uint8Array([
      ...encodeUtf8('{"a":"'),
      ...tail,
      0x22,
      0x7d,
    ]);
    forgery.header = await sign(forgery.body);
  },
};

// Signing a megabyte takes its time, so these few are apart.
const OVERSIZE = 20;

async function forge(
  random: Random,
  mutate: Mutation,
  index: number,
): Promise<Forgery> {
  const body = encodeUtf8(JSON.stringify({
    id: `event-${index}`,
    type: random.pick(["creator.payment.succeeded", "creator.follow.created"]),
    data: { gross: random.below(100_000), text: random.text(20, "abc é日🔑") },
  }));
  const forgery: Forgery = { body, header: await sign(body) };
  await mutate(forgery, random);
  return forgery;
}

Deno.test(`${DELIVERIES} broken deliveries are refused and none reaches the database`, async () => {
  const random = new Random(SEED);
  const receiver = new Receiver();
  const kinds = Object.entries(MUTATIONS);
  const statuses = new Map<number, number>();

  for (let index = 0; index < DELIVERIES; index++) {
    const [kind, mutate] = kinds[index % kinds.length] ?? ["", () => {}];
    const { body, header } = await forge(random, mutate, index);
    const request = deliver(
      body,
      header === null ? {} : { "x-fanvue-signature": header },
    );
    const { status } = await receiver.take(request);
    assert(
      [400, 401, 413].includes(status),
      `${kind}, number ${index}: ${status}`,
    );
    assert(
      receiver.received.length === 0,
      `${kind}, number ${index} was received`,
    );
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  }

  assert((statuses.get(401) ?? 0) > DELIVERIES / 2);
  assert((statuses.get(400) ?? 0) > 0);
});

Deno.test("the same deliveries are taken while they are whole", async () => {
  const random = new Random(SEED);
  const receiver = new Receiver();

  for (let index = 0; index < 100; index++) {
    const { body, header } = await forge(random, () => {}, index);
    await receiver.take(deliver(body, { "x-fanvue-signature": header ?? "" }));
  }

  assertEquals(receiver.received.length, 100);
});

Deno.test("bodies beyond 1 MiB are refused however well they are signed", async () => {
  const random = new Random(SEED);
  const receiver = new Receiver();
  const statuses: number[] = [];

  for (let index = 0; index < OVERSIZE; index++) {
    const size = LARGEST_BODY_BYTES + 1 + random.below(4096);
    const body = new Uint8Array(size).fill(0x20);
    statuses.push(
      (await receiver.take(
        deliver(body, {
          "x-fanvue-signature": await sign(index % 4 === 0 ? body : ""),
        }),
      )).status,
    );
  }

  assert(statuses.every((status) => status === 413));
  assertEquals(receiver.received, []);
});
