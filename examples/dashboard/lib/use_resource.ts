"use client";

import { useEffect, useMemo, useSyncExternalStore } from "react";
import type { Resource, Snapshot } from "./resource";

/** Returns a resource's present state and draws again when it changes. */
export function useResource<T>(resource: Resource<T>): Snapshot<T> {
  return useSyncExternalStore(resource.subscribe, resource.read, resource.read);
}

/** Makes a resource of its own for a component, fetched at once and closed with it. */
export function useOwnResource<T>(make: () => Resource<T>, dependencies: readonly unknown[]) {
  // biome-ignore lint/correctness/useExhaustiveDependencies: the caller names them
  const resource = useMemo(make, dependencies);
  useEffect(() => {
    resource.open();
    resource.refresh();
    return () => resource.close();
  }, [resource]);
  return resource;
}
