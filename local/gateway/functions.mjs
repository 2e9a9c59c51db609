// Edge Functions: one Deno process per function, started at its first request, started again
// after a crash or a change of its files. Each checks its caller itself.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, existsSync, readFileSync, watch } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { forward } from "./proxy.mjs";
import { sendJson } from "./web.mjs";

const SHIM = join(dirname(fileURLToPath(import.meta.url)), "deno-shim.ts");
const LISTENING = /edge-function-listening (\d+)\n/;
// Catches a start or an end that hangs; a slow machine takes its time.
const BOOT_MS = 300_000;
const TERM_MS = 30_000;
const IDLE_MS = 150_000;
const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]*$/;
const INHERITED =
  /^(PATH|HOME|TMPDIR|LANG|DENO_.*|npm_config_.*|NPM_CONFIG_.*|https?_proxy|HTTPS?_PROXY|no_proxy|NO_PROXY|SSL_CERT_FILE|SSL_CERT_DIR|XDG_CACHE_HOME)$/;

class BootError extends Error {}

function readEnvFile(path) {
  if (!existsSync(path)) return {};
  const entries = {};
  for (const line of readFileSync(path, "utf8").split("\n")) {
    const match = /^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$/.exec(line);
    if (match) entries[match[1]] = match[2].replace(/^(["'])(.*)\1$/, "$2");
  }
  return entries;
}

function runArguments(directory) {
  const config = join(directory, "deno.json");
  const lock = join(directory, "deno.lock");
  return [
    "run",
    "--quiet",
    "--no-prompt",
    "--allow-all",
    "--node-modules-dir=none",
    `--preload=${SHIM}`,
    existsSync(config) ? `--config=${config}` : "--no-config",
    ...(existsSync(lock) ? [`--lock=${lock}`, "--frozen"] : ["--no-lock"]),
    join(directory, "index.ts"),
  ];
}

class EdgeFunction {
  #config;
  #name;
  #booting = null;
  #child = null;
  #gone = Promise.resolve();

  constructor(config, name) {
    this.#config = config;
    this.#name = name;
    this.port = null;
  }

  /** Resolves when the function listens; all callers share one start. */
  ready() {
    this.#booting ??= this.#boot().catch((error) => {
      this.stop();
      throw error;
    });
    return this.#booting;
  }

  /** Ends the process; the next start waits until it is gone. */
  stop() {
    const child = this.#child;
    this.#child = null;
    this.#booting = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const killer = setTimeout(() => child.kill("SIGKILL"), TERM_MS);
    this.#gone = once(child, "exit").finally(() => clearTimeout(killer));
    child.kill("SIGTERM");
  }

  async #boot() {
    await this.#gone;
    const { functionsDirectory, functionEnv, functionsEnvFile, logsDirectory, deno } = this.#config;
    const directory = join(functionsDirectory, this.#name);
    const inherited = Object.fromEntries(
      Object.entries(process.env).filter(([key]) => INHERITED.test(key)),
    );
    const env = {
      // Packages come through whatever proxy the machine trusts.
      DENO_TLS_CA_STORE: "mozilla,system",
      ...inherited,
      ...functionEnv,
      ...readEnvFile(functionsEnvFile),
      DENO_NO_UPDATE_CHECK: "1",
      NO_COLOR: "1",
    };
    const child = spawn(deno, runArguments(directory), { cwd: directory, env, stdio: "pipe" });
    const log = createWriteStream(join(logsDirectory, `function-${this.#name}.log`), {
      flags: "a",
    });
    this.#child = child;
    child.stdin.on("error", () => {});
    child.stderr.on("data", (chunk) => log.write(chunk));
    await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new BootError("did not start in time")), BOOT_MS);
      child.stdout.on("data", (chunk) => {
        const said = chunk.toString();
        const listening = LISTENING.exec(said);
        if (listening) {
          // Its own choice: a fixed port may be taken by anybody's outgoing connection.
          this.port = Number(listening[1]);
          resolve(clearTimeout(timer));
        }
        log.write(said.replace(LISTENING, ""));
      });
      child.on("error", reject);
      child.on("exit", () => {
        clearTimeout(timer);
        if (this.#child === child) this.stop();
      });
      // Its last words may come after its end: callers hear of it once the log has them.
      child.on("close", (code, signal) => {
        const ended = signal ?? code;
        log.end(
          `process ended (${ended})\n`,
          () => reject(new BootError(`ended before it served (${ended})`)),
        );
      });
    });
  }
}

export class Functions {
  #config;
  #running = new Map();
  #watcher = null;

  constructor(config) {
    this.#config = config;
    this.#watchFiles();
  }

  /** The handler of `/functions/v1/<name>…`. */
  async handle(incoming, outgoing, url) {
    const [name] = url.pathname.slice("/functions/v1/".length).split("/");
    if (!NAME.test(name) || !existsSync(join(this.#config.functionsDirectory, name, "index.ts"))) {
      sendJson(incoming, outgoing, 404, {
        code: "NOT_FOUND",
        message: "Requested function was not found",
      });
      return;
    }
    const edge = this.#find(name);
    try {
      await edge.ready();
    } catch (error) {
      console.error(`function ${name}:`, error.message);
      const message = `Function failed to start: ${error.message}; see its log`;
      sendJson(incoming, outgoing, 503, { code: "BOOT_ERROR", message });
      return;
    }
    const path = url.pathname.slice("/functions/v1".length) + url.search;
    this.#forward(incoming, outgoing, edge, path);
  }

  close() {
    this.#watcher?.close();
    for (const edge of this.#running.values()) edge.stop();
  }

  #find(name) {
    let edge = this.#running.get(name);
    if (!edge) {
      edge = new EdgeFunction(this.#config, name);
      this.#running.set(name, edge);
    }
    return edge;
  }

  #forward(incoming, outgoing, edge, path) {
    const headers = {
      ...incoming.headers,
      "x-forwarded-for": incoming.socket.remoteAddress ?? "127.0.0.1",
      "x-forwarded-host": incoming.headers.host ?? "",
      "x-forwarded-proto": "http",
    };
    const target = { port: edge.port, path, headers, timeout: IDLE_MS, agent: false };
    forward(incoming, outgoing, target, (error) => {
      edge.stop();
      if (outgoing.headersSent) return;
      const message = `Function ended without an answer: ${error.message}`;
      sendJson(incoming, outgoing, 502, { code: "WORKER_ERROR", message });
    });
  }

  /** A changed file means that every function starts afresh at its next request. */
  #watchFiles() {
    if (!existsSync(this.#config.functionsDirectory)) return;
    try {
      this.#watcher = watch(
        this.#config.functionsDirectory,
        { recursive: true },
        (_event, file) => {
          if (!file || /node_modules/.test(file) || !/\.(ts|tsx|js|mjs|json)$/.test(file)) return;
          for (const edge of this.#running.values()) edge.stop();
        },
      );
      this.#watcher.on(
        "error",
        (error) => console.error("functions are not watched:", error.message),
      );
    } catch (error) {
      console.error("functions are not watched:", error.message);
    }
  }
}
