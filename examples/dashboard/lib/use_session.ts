"use client";

import { useCallback, useEffect, useRef, useState } from "react";
import { type Client, hasKeptSession, type Project } from "./project_client";

export interface SessionState {
  readonly client: Client | null;
  /** undefined until the browser's storage was read; null when nobody is signed in. */
  readonly userId: string | null | undefined;
  readonly email: string | null;
  /** Why somebody has to sign in again; null when they left by themselves. */
  readonly notice: string | null;
  readonly signOut: () => void;
  /** The server no longer takes the token: try a new one, else ask to sign in again. */
  readonly renew: () => Promise<boolean>;
}

const ENDED = "Your session ended. Please sign in again.";

export function useSession(project: Project): SessionState {
  const { url, publishableKey } = project;
  const [client, setClient] = useState<Client | null>(null);
  const [user, setUser] = useState<{ id: string; email: string | null } | null | undefined>();
  const [notice, setNotice] = useState<string | null>(null);
  const isLeaving = useRef(false);
  const wasSignedIn = useRef(false);

  useEffect(() => {
    let leave = () => {};
    let isOver = false;
    wasSignedIn.current = hasKeptSession();
    void import("./make_client").then(({ makeClient }) => {
      if (isOver) return;
      const made = makeClient({ url, publishableKey });
      setClient(made);
      const { data } = made.auth.onAuthStateChange((_event, session) => {
        if (session === null) {
          if (wasSignedIn.current && !isLeaving.current) setNotice(ENDED);
          wasSignedIn.current = false;
          isLeaving.current = false;
          setUser(null);
        } else {
          wasSignedIn.current = true;
          setNotice(null);
          const { id, email = null } = session.user;
          // The same user with a new token changes nothing on screen.
          setUser((before) => (before?.id === id ? before : { id, email }));
        }
      });
      leave = () => {
        data.subscription.unsubscribe();
        void made.auth.stopAutoRefresh();
        void made.removeAllChannels();
      };
    });
    return () => {
      isOver = true;
      leave();
    };
  }, [url, publishableKey]);

  const signOut = useCallback(() => {
    isLeaving.current = true;
    // This browser's session only: other devices stay signed in.
    void client?.auth.signOut({ scope: "local" });
  }, [client]);

  const renew = useCallback(async () => {
    if (client === null) return false;
    const { error } = await client.auth.refreshSession();
    if (error === null) return true;
    await client.auth.signOut({ scope: "local" });
    return false;
  }, [client]);

  const userId = user === undefined ? undefined : (user?.id ?? null);
  return { client, userId, email: user?.email ?? null, notice, signOut, renew };
}
