"use client";

import { useSyncExternalStore } from "react";

const TICK = 10_000;

let now = 0;
let timer: ReturnType<typeof setInterval> | undefined;
const listeners = new Set<() => void>();

/** Returns the time to within ten seconds; all who ask share one timer. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, read, () => 0);
}

function read(): number {
  if (listeners.size === 0 || now === 0) now = Math.floor(Date.now() / TICK) * TICK;
  return Math.max(now, 0);
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  if (timer === undefined) {
    timer = setInterval(() => {
      now = Date.now();
      for (const each of listeners) each();
    }, TICK);
  }
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}
