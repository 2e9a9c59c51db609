// Loaded before an Edge Function: makes `Deno.serve` listen on a free loopback port, says on
// stdout which, and ends the process when the gateway is gone.

const LISTENING = "edge-function-listening";

const serve = Deno.serve.bind(Deno) as (options: object, handler: unknown) => unknown;

function serveOnLoopback(first: unknown, second?: unknown): unknown {
  endWithGateway();
  const options = typeof first === "function" ? {} : first as Record<string, unknown>;
  const handler = typeof first === "function" ? first : second ?? options.handler;
  return serve(
    {
      ...options,
      hostname: "127.0.0.1",
      port: 0,
      onListen: ({ port }: { port: number }) => console.log(`${LISTENING} ${port}`),
    },
    handler,
  );
}

async function endWithGateway(): Promise<void> {
  const buffer = new Uint8Array(64);
  while ((await Deno.stdin.read(buffer)) !== null);
  Deno.exit(0);
}

// Reading starts with serving: Deno starts no function while its preloaded module still waits.
Object.defineProperty(Deno, "serve", { value: serveOnLoopback, configurable: true });
