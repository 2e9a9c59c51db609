"use client";

import { useCallback, useState } from "react";

/** The address's query as state, so that a view can be kept and shared. */
export function useAddressQuery(): [
  URLSearchParams,
  (change: (q: URLSearchParams) => void) => void,
] {
  const [query, setQuery] = useState(() => new URLSearchParams(window.location.search));
  const change = useCallback((edit: (q: URLSearchParams) => void) => {
    setQuery((before) => {
      const after = new URLSearchParams(before);
      edit(after);
      return after;
    });
    const address = new URL(window.location.href);
    edit(address.searchParams);
    window.history.replaceState(null, "", address);
  }, []);
  return [query, change];
}
