"use client";

import { KeyRound } from "lucide-react";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { confirmAddress, fetchHeld, type HeldConnection, sessionToken } from "@/lib/connecting";
import { Failure } from "@/lib/failure";
import { atHandle } from "@/lib/models";
import type { Client, Project } from "@/lib/project_client";
import { SignInForm } from "./sign_in_form";

interface Props {
  readonly client: Client;
  readonly project: Project;
  readonly nonce: string;
  /** Who is signed in; null: nobody, which is enough for a link. */
  readonly userId: string | null;
  readonly onDismiss: () => void;
}

const SIGN_IN = "Sign in as whoever began to connect this account, to confirm it.";

/** Asks whoever comes back from Fanvue whether the account is for this agency; the form stores it. */
export function ConfirmConnection({ client, project, nonce, userId, onDismiss }: Props) {
  const [held, setHeld] = useState<HeldConnection | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);

  // biome-ignore lint/correctness/useExhaustiveDependencies: who signs in may see what was refused before
  useEffect(() => {
    let isGone = false;
    setFailure(null);
    sessionToken(client)
      .then((token) => fetchHeld(project, nonce, token))
      .then(
        (found) => isGone || setHeld(found),
        (error) => isGone || setFailure(Failure.from(error)),
      );
    return () => {
      isGone = true;
    };
  }, [client, project, nonce, userId]);

  if (failure?.isSignedOut && userId === null) {
    return <SignInForm client={client} notice={SIGN_IN} />;
  }
  return (
    <main className="grid min-h-dvh place-items-center p-4">
      <section
        aria-label="An account to confirm"
        className="card flex w-full max-w-lg flex-col gap-4 p-6"
        data-testid="confirm-connection"
      >
        {held !== null && <Question held={held} />}
        {failure !== null && (
          <p role="alert" className="text-bad" data-testid="confirm-error">
            {failure.sentence}
          </p>
        )}
        <div className="flex flex-wrap gap-3">
          {held === null ? (
            <button type="button" className="button-quiet" onClick={onDismiss}>
              Dismiss
            </button>
          ) : (
            <>
              <ConfirmForm client={client} project={project} nonce={nonce} />
              <DeclineForm project={project} nonce={nonce} />
            </>
          )}
        </div>
      </section>
    </main>
  );
}

function ConfirmForm({ client, project, nonce }: Pick<Props, "client" | "project" | "nonce">) {
  const token = useRef<HTMLInputElement>(null);
  const [isStoring, setStoring] = useState(false);

  async function store(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = event.currentTarget;
    setStoring(true);
    // As it is now: somebody may have read for longer than a token lives.
    if (token.current !== null) token.current.value = await sessionToken(client);
    form.submit();
  }

  return (
    <form method="post" action={confirmAddress(project)} onSubmit={store}>
      <input type="hidden" name="nonce" value={nonce} />
      <input type="hidden" name="access_token" ref={token} />
      <button type="submit" className="button-primary" disabled={isStoring} data-testid="confirm">
        {isStoring ? "Connecting…" : "Connect it"}
      </button>
    </form>
  );
}

/** What Fanvue granted is thrown away, not only out of sight. */
function DeclineForm({ project, nonce }: Pick<Props, "project" | "nonce">) {
  return (
    <form method="post" action={confirmAddress(project)}>
      <input type="hidden" name="nonce" value={nonce} />
      <input type="hidden" name="answer" value="no" />
      <button type="submit" className="button-quiet" data-testid="decline">
        Do not connect
      </button>
    </form>
  );
}

function Question({ held }: { readonly held: HeldConnection }) {
  return (
    <div className="flex items-start gap-3">
      <KeyRound className="mt-1 size-5 shrink-0 text-warn" aria-hidden="true" />
      <div>
        <h1 className="text-lg font-semibold">
          Connect <bdi>{atHandle(held.account) ?? held.account_uuid}</bdi> to{" "}
          <bdi>{held.agency}</bdi>?
        </h1>
        <p className="mt-2">
          The members of this agency will see{" "}
          {held.kind === "agency"
            ? `the money, fans, messages and posts of the ${held.creators} creators whom the account manages`
            : "the account's money, fans, messages and posts"}
          , as long as it is connected. If you do not know this agency, do not connect.
        </p>
        <p className="mt-2 text-sm text-muted">Fanvue allowed: {held.scopes.join(", ")}</p>
      </div>
    </div>
  );
}
