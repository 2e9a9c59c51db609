import {
  type Environment,
  readAddress,
  readList,
  readProject,
} from "../_shared/environment.ts";
import { Misconfigured } from "../_shared/errors.ts";
import { readSettings } from "../fanvue-connect/settings.ts";
import { assert, assertEquals, assertThrows } from "./assertions.ts";

function of(values: Record<string, string>): Environment {
  return (name) => values[name];
}

Deno.test("hosted functions find their keys by name, older ones singly", () => {
  const hosted = readProject(of({
    SUPABASE_URL: "https://x.supabase.co/",
    SUPABASE_SECRET_KEYS: '{"default":"sb_secret_1","other":"sb_secret_2"}',
    SUPABASE_PUBLISHABLE_KEYS: '{"default":"sb_publishable_1"}',
    SUPABASE_SERVICE_ROLE_KEY: "old",
  }));
  const older = readProject(of({
    SUPABASE_URL: "https://x.supabase.co",
    SUPABASE_SERVICE_ROLE_KEY: "old.service.key",
    SUPABASE_ANON_KEY: "old.anon.key",
  }));

  assertEquals(hosted.secretKey, "sb_secret_1");
  assertEquals(hosted.publishableKey, "sb_publishable_1");
  assertEquals(hosted.url, "https://x.supabase.co");
  assertEquals(older.secretKey, "old.service.key");
  assertEquals(older.publishableKey, "old.anon.key");
});

Deno.test("secrets travel over https, or to a neighbour", async () => {
  for (
    const url of [
      "https://api.fanvue.com",
      "http://127.0.0.1:54400",
      "http://kong:8000",
      "http://localhost:3000",
      "http://host.docker.internal:54400",
      "http://192.168.1.4:8080",
    ]
  ) assertEquals(readAddress(of({ U: `${url}/` }), "U"), url);
  for (
    const url of [
      "http://api.fanvue.com",
      "ftp://127.0.0.1",
      "https://a:b@api.fanvue.com",
      "https://api.fanvue.com?x=1",
      "http://10.evil.example",
      "api.fanvue.com",
    ]
  ) {
    const error = await assertThrows(
      () => readAddress(of({ U: url }), "U"),
      Misconfigured,
    );
    assert(!error.message.includes("fanvue.com"));
  }
});

Deno.test("a list of nothing but commas is not set", async () => {
  assertEquals(readList(of({ L: " a, ,b ," }), "L"), ["a", "b"]);
  await assertThrows(() => readList(of({ L: " , " }), "L"), Misconfigured);
  await assertThrows(() => readList(of({}), "L"), Misconfigured);
});

const COMPLETE = {
  SUPABASE_URL: "https://x.supabase.co",
  SUPABASE_SECRET_KEY: "sb_secret_1",
  SUPABASE_PUBLISHABLE_KEY: "sb_publishable_1",
  FANVUE_CLIENT_ID: "client",
  FANVUE_CLIENT_SECRET: "made-up",
  TOKEN_ENCRYPTION_KEYS: "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
  DASHBOARD_URL: "https://dashboard.example.test",
};

Deno.test("what is left out has the documented default", () => {
  const settings = readSettings(of(COMPLETE), () => new Uint8Array());

  assertEquals(settings.fanvue.authUrl, "https://auth.fanvue.com");
  assertEquals(settings.fanvue.apiUrl, "https://api.fanvue.com");
  assertEquals(settings.fanvue.apiVersion, "2025-06-26");
  assertEquals(settings.fanvue.pathPrefixes, ["/v1", ""]);
  assertEquals(
    settings.fanvue.redirectUri,
    "https://x.supabase.co/functions/v1/fanvue-connect/callback",
  );
  assertEquals(
    settings.fanvue.scopes,
    "openid offline_access offline read:self read:insights read:fan read:chat read:post read:creator",
  );
});

for (const name of Object.keys(COMPLETE)) {
  Deno.test(`a connection cannot begin without ${name}`, async () => {
    const error = await assertThrows(
      () =>
        readSettings(of({ ...COMPLETE, [name]: " " }), () => new Uint8Array()),
      Misconfigured,
    );

    assert(error.message.includes(name));
  });
}
