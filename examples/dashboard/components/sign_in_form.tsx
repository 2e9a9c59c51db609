"use client";

import { LogIn } from "lucide-react";
import { type FormEvent, useState } from "react";
import { Failure } from "@/lib/failure";
import type { Client } from "@/lib/project_client";
import { Brand } from "./brand";

interface Props {
  readonly client: Client;
  readonly notice: string | null;
}

export function SignInForm({ client, notice }: Props) {
  const [trouble, setTrouble] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);

  async function signIn(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    setBusy(true);
    setTrouble(null);
    const { error } = await client.auth
      .signInWithPassword({
        email: String(form.get("email")).trim(),
        password: String(form.get("password")),
      })
      .catch((thrown: unknown) => ({ error: thrown }));
    setBusy(false);
    if (error !== null) setTrouble(Failure.from(error).sentence);
  }

  return (
    <main className="grid min-h-dvh place-items-center p-4">
      <div className="w-full max-w-sm">
        <div className="mb-6 flex items-center gap-3">
          <Brand />
          <p className="text-lg font-semibold tracking-tight">Earnings, live</p>
        </div>
        <form className="card flex flex-col gap-4 p-6" onSubmit={signIn} data-testid="sign-in-form">
          <h1 className="text-xl font-semibold tracking-tight">Sign in</h1>
          {notice !== null && trouble === null && (
            <p
              role="status"
              className="rounded-lg bg-warn-soft px-3 py-2 text-warn"
              data-testid="session-notice"
            >
              {notice}
            </p>
          )}
          <label className="flex flex-col gap-1.5 text-sm font-medium">
            Email
            <input
              className="field text-base font-normal"
              name="email"
              type="email"
              autoComplete="username"
              required
            />
          </label>
          <label className="flex flex-col gap-1.5 text-sm font-medium">
            Password
            <input
              className="field text-base font-normal"
              name="password"
              type="password"
              autoComplete="current-password"
              required
            />
          </label>
          {trouble !== null && (
            <p
              role="alert"
              className="rounded-lg bg-bad-soft px-3 py-2 text-bad"
              data-testid="sign-in-error"
            >
              {trouble}
            </p>
          )}
          <button type="submit" className="button-primary min-h-11" disabled={isBusy}>
            <LogIn className="size-4" aria-hidden="true" />
            {isBusy ? "Signing in…" : "Sign in"}
          </button>
        </form>
      </div>
    </main>
  );
}
