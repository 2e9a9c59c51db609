"use client";

import { useEffect, useRef, useState } from "react";

const DURATION = 700;
const PARTS = 1000n;

/** Returns cents that count up to a new value; at once where people want no motion. */
export function useCountUp(target: bigint): bigint {
  const [shown, setShown] = useState(target);
  const latest = useRef(target);

  useEffect(() => {
    const start = latest.current;
    if (start === target) return;
    if (document.hidden || matchMedia("(prefers-reduced-motion: reduce)").matches) {
      latest.current = target;
      setShown(target);
      return;
    }
    const began = performance.now();
    let frame = requestAnimationFrame(function step(at) {
      const done = Math.min(1, Math.max(0, (at - began) / DURATION));
      const eased = BigInt(Math.round((1 - (1 - done) ** 3) * Number(PARTS)));
      latest.current = start + ((target - start) * eased) / PARTS;
      setShown(latest.current);
      if (done < 1) frame = requestAnimationFrame(step);
    });
    return () => cancelAnimationFrame(frame);
  }, [target]);

  return shown;
}
