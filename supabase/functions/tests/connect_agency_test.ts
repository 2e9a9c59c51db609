import { hashNonce } from "../fanvue-connect/consent.ts";
import { heldToken, Keyring, modelColumn } from "../_shared/sealing.ts";
import { assert, assertEquals, assertMatch } from "./assertions.ts";
import {
  ACCESS,
  AGENCY,
  AGENCY_GRANT,
  AGENCY_WAY,
  CONNECTION,
  DASHBOARD,
  KEYS,
  LOST,
  MANAGER,
  MODEL,
  REFRESH,
  refusal,
  USER_TOKEN,
  World,
} from "./connect_world.ts";

const AS_AGENCY = "&as=agency&return_to=/team";
const CALLER = { authorization: `Bearer ${USER_TOKEN}` };

function managing(count: number, isCreator = false): World {
  const world = new World();
  world.manage(count, isCreator);
  return world;
}

Deno.test("the agency's account is asked for what its endpoints need", async () => {
  const world = new World();

  const response = await world.start(
    `${AS_AGENCY}&connection_id=${CONNECTION}`,
  );

  const url = new URL(response.headers.get("location") ?? "");
  const scopes = url.searchParams.get("scope")?.split(" ") ?? [];
  for (const scope of ["offline_access", "read:agency", "read:creator"]) {
    assert(scopes.includes(scope), scope);
  }
  assertEquals(world.body("begin_connection").p_as, "agency");
  assertEquals(world.body("begin_connection").p_connection_id, CONNECTION);
});

Deno.test("a creator is not asked for the agency's scope", async () => {
  const response = await new World().start();

  const url = new URL(response.headers.get("location") ?? "");
  assert(!url.searchParams.get("scope")?.includes("read:agency"));
});

for (
  const query of [
    "&as=boss",
    `&as=agency&model_id=${MODEL}`,
    `&connection_id=${CONNECTION}`,
    "&as=agency&connection_id=x",
  ]
) {
  Deno.test(`«${query}» is no way to begin`, async () => {
    const world = new World();

    assertEquals((await world.start(query)).status, 400);
    assertEquals(world.order, []);
  });
}

Deno.test("without a dashboard any more nothing is held", async () => {
  const world = managing(1);
  const back = await world.begun(AS_AGENCY);
  delete world.env.DASHBOARD_URL;

  assertEquals((await world.get(back)).status, 503);
  assertEquals(world.held, null);
});

Deno.test("an attempt of a kind that nobody named is not taken for another", async () => {
  const world = new World();
  const back = await world.begun();
  for (const attempt of world.attempts.values()) attempt.kind = "studio";

  assertEquals((await world.get(back)).status, 503);
  assert(!world.order.includes("token"));
});

Deno.test("a consent for an agency is held, and nothing is stored", async () => {
  const world = managing(120);

  const response = await world.connect(AS_AGENCY);

  const location = response.headers.get("location") ?? "";
  assertEquals(response.status, 302);
  assertMatch(location, new RegExp(`^${DASHBOARD}/team\\?confirm=[\\w-]{43}$`));
  assertEquals(
    world.order,
    AGENCY_WAY.toSpliced(3, 1, ...Array(3).fill("v1/creators")),
  );
  const { access_token, refresh_token, creators, ...shown } = world.held ?? {};
  assertEquals((creators as unknown[]).length, 120);
  assertEquals(shown.user_uuid, MANAGER);
  assertEquals(shown.scopes, AGENCY_GRANT.scope.split(" "));
  const nonce = new URL(location).searchParams.get("confirm") ?? "";
  const nonceHash = await hashNonce(nonce);
  assertEquals(world.body("hold_connection").p_nonce_hash, nonceHash);
  assert(!world.attempts.has(nonceHash), "the state is known to its sender");
  const ring = Keyring.parse([KEYS]);
  const place = (column: string) => heldToken(nonceHash, column);
  assertEquals(
    await ring.open(String(access_token), place("access_token")),
    ACCESS,
  );
  assertEquals(
    await ring.open(String(refresh_token), place("refresh_token")),
    REFRESH,
  );
});

Deno.test("who began is shown what is to be confirmed, and nothing is stored", async () => {
  const world = managing(1);
  const back = await world.connect(AS_AGENCY);
  const nonce = new URL(back.headers.get("location") ?? "").searchParams.get(
    "confirm",
  );
  world.calls.length = 0;

  const response = await world.get(`/confirm?nonce=${nonce}`, CALLER);

  assertEquals(await response.json(), {
    kind: "agency",
    agency_id: AGENCY,
    agency: "Nova Talent",
    by_link: false,
  });
  assertEquals(world.order, ["confirm_connection"]);
  assertEquals(world.body("confirm_connection").p_browser_hash, null);
  assertEquals(
    world.calls[0]?.headers.get("authorization"),
    `Bearer ${USER_TOKEN}`,
  );
});

Deno.test("a confirmed grant is stored sealed, and its creators follow", async () => {
  const world = managing(120);
  const back = await world.connect(AS_AGENCY);
  world.instead.store_connection = [LOST];

  const response = await world.confirm(back);

  assertEquals(
    response.headers.get("location"),
    `${DASHBOARD}/team?connected=${CONNECTION}`,
  );
  assertEquals(world.order, [
    "confirm_connection",
    "confirmed_connection",
    "store_connection",
    "store_connection",
    "attach_creators",
    "attach_creators",
  ]);
  const stored = world.body("store_connection");
  assertEquals([stored.p_connection_id, stored.p_version], [CONNECTION, 3]);
  const ring = Keyring.parse([KEYS]);
  for (
    const [column, token] of [["access_token", ACCESS], [
      "refresh_token",
      REFRESH,
    ]] as const
  ) {
    assertEquals(
      await ring.open(
        String(stored[`p_${column}`]),
        modelColumn(CONNECTION, `fanvue_${column}`),
      ),
      token,
    );
  }
});

Deno.test("a grant that is stored already is not stored again", async () => {
  const world = managing(1);
  const back = await world.connect(AS_AGENCY);
  const { access_token: _, refresh_token: __, ...kept } = world.held ?? {};
  world.instead.confirmed_connection = [() => ({
    ...kept,
    kind: "agency",
    agency_id: AGENCY,
    connection_id: CONNECTION,
    token_version: 3,
    stored: true,
  })];

  await world.confirm(back);

  assert(!world.order.includes("store_connection"));
  assert(world.order.includes("attach_creators"));
});

for (const status of [401, 403, 404, 410]) {
  Deno.test(`what is not shown (${status}) is told to the dashboard`, async () => {
    const world = managing(1);
    const refuse = () => refusal(status);
    world.instead.confirm_connection = [refuse];
    world.instead.confirm_linked_connection = [refuse];

    const response = await world.get(
      `/confirm?nonce=${"a".repeat(43)}`,
      CALLER,
    );

    assertEquals(response.status, status);
  });
}

Deno.test("an account of the agency that another agency has is told on a page", async () => {
  const world = managing(1);
  const back = await world.connect(AS_AGENCY);
  world.instead.confirmed_connection = [() => refusal(409)];

  assertMatch(await (await world.confirm(back)).text(), /by another agency/);
});

Deno.test("nothing is confirmed without a nonce, or in another way", async () => {
  const world = managing(1);

  assertEquals((await world.get("/confirm?nonce=x", CALLER)).status, 400);
  assertEquals((await world.ask("POST", "/confirm")).status, 400);
  assertEquals((await world.ask("DELETE", "/confirm", CALLER)).status, 405);
  assertEquals(world.order, []);
});

Deno.test("an account of the agency that is a creator too is welcome", async () => {
  const world = managing(2, true);

  assertEquals((await world.connect(AS_AGENCY)).status, 302);
});

Deno.test("a creator who consents for the agency is told so", async () => {
  const world = managing(0, true);

  const response = await world.connect(AS_AGENCY);

  assertEquals(response.status, 409);
  assertMatch(
    await response.text(),
    /creator&#39;s account, not the agency&#39;s/,
  );
  assertEquals(world.held, null);
});

Deno.test("a manager account that consents as a creator is told so", async () => {
  const world = new World();
  world.instead["v1/users/me"] = [
    () => ({ uuid: MANAGER, handle: "boss", isCreator: false }),
  ];

  const response = await world.connect();

  assertEquals(response.status, 409);
  assertMatch(await response.text(), /This is a manager account/);
  assert(!world.order.includes("hold_connection"));
});

Deno.test("a permission that the agency needs and that was not granted is named", async () => {
  const world = managing(1);
  world.instead.token = [() => ({
    ...AGENCY_GRANT,
    scope: "offline_access read:self read:insights read:creator",
  })];

  const response = await world.connect(AS_AGENCY);

  assertEquals(response.status, 403);
  assertMatch(await response.text(), /Missing: read:agency</);
});

Deno.test("a list of creators with a hole is no list", async () => {
  const world = managing(1);
  world.instead["v1/creators"] = Array(3).fill(() => ({
    data: [{ uuid: null }],
    nextCursor: null,
  }));

  assertEquals((await world.connect(AS_AGENCY)).status, 502);
  assertEquals(world.held, null);
});

Deno.test("a list of creators by cursor is read to its end", async () => {
  const world = managing(0);
  const page = (uuid: string, nextCursor: string | null) => () => ({
    data: [{ uuid, handle: null, displayName: null }],
    nextCursor,
  });
  world.instead["v1/creators"] = [page(MODEL, "a b"), page(AGENCY, null)];

  await world.connect(AS_AGENCY);

  assertEquals((world.held?.creators as unknown[]).length, 2);
});

for (
  const [said, named] of [
    [
      "The OAuth 2.0 Client is not allowed to request scope 'read:agency'.",
      /Missing: read:agency</,
    ],
    ["something about <b>read:money</b>", /Missing: openid, .*read:agency</],
  ] as const
) {
  Deno.test(`invalid_scope («${said}») says what to tick`, async () => {
    const world = new World();
    const description = encodeURIComponent(said);

    const response = await world.get(
      `/callback?error=invalid_scope&error_description=${description}&state=x`,
    );

    const html = await response.text();
    assertEquals(response.status, 403);
    assertMatch(html, /app lacks a permission/);
    assertMatch(html, named);
    assert(!html.includes("money"));
  });
}

Deno.test("a short rate limit while the code is exchanged is waited out", async () => {
  const world = new World();
  world.instead.token = [
    () => new Response("", { status: 429, headers: { "retry-after": "2" } }),
  ];

  assertEquals((await world.connect()).status, 302);
  assertEquals(world.pauses, [2_000]);
});

for (
  const [after, seconds, minutes] of [["240", 240, "4 minutes"], [
    null,
    60,
    "a minute",
  ]] as const
) {
  Deno.test(`a rate limit of ${seconds} s pauses, is told and noted`, async () => {
    const world = new World();
    const headers: HeadersInit = after === null ? {} : { "retry-after": after };
    world.instead.token = [() => new Response("", { status: 429, headers })];

    const response = await world.connect();

    assertEquals(response.status, 503);
    assertEquals(response.headers.get("retry-after"), String(seconds));
    assertMatch(await response.text(), new RegExp(`Wait for ${minutes}\\.`));
    assertEquals(world.body("block_bucket"), {
      p_bucket: "app",
      p_seconds: seconds,
      p_endpoint: "/oauth2/token",
    });
    assertEquals(world.pauses, []);
  });
}
