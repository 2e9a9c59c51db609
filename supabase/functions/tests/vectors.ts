// Test vectors that the worker's tests read too.

const DIRECTORY = new URL("../../../tests/contract/vectors/", import.meta.url);

export interface SignatureCase {
  readonly name: string;
  readonly secrets: readonly string[];
  readonly now: number;
  readonly header: string;
  readonly body: string;
  readonly accepted: boolean;
}

export interface SealedCase {
  readonly name: string;
  readonly key_id: string;
  readonly model_id: string;
  readonly column: string;
  readonly nonce_hex: string;
  readonly plaintext: string;
  readonly sealed: string;
}

export interface RefusedCase {
  readonly name: string;
  readonly stored: string;
  readonly model_id: string;
  readonly column: string;
  readonly error: "seal_broken" | "misconfigured";
}

export interface SealingVectors {
  readonly keys: readonly string[];
  readonly sealed: readonly SealedCase[];
  readonly refused: readonly RefusedCase[];
  readonly plain: readonly { name: string; stored: string }[];
}

export interface ConnectionVectors {
  readonly pkce: { verifier: string; challenge: string };
  readonly state: { state: string; hash: string };
  readonly verifier: {
    key: string;
    state_hash: string;
    nonce_hex: string;
    plaintext: string;
    sealed: string;
  };
}

export function signatureCases(): readonly SignatureCase[] {
  return (read("webhook_signatures") as { cases: SignatureCase[] }).cases;
}

export function oddBodies(): readonly { name: string; body: string }[] {
  return (read("webhook_oddities") as {
    bodies: { name: string; body: string }[];
  }).bodies;
}

export function sealingVectors(): SealingVectors {
  return read("sealing") as SealingVectors;
}

export function connectionVectors(): ConnectionVectors {
  return read("connections") as ConnectionVectors;
}

function read(name: string): unknown {
  return JSON.parse(Deno.readTextFileSync(new URL(`${name}.json`, DIRECTORY)));
}
