"use client";

import { Moon, Sun } from "lucide-react";
import { useSyncExternalStore } from "react";
import { chooseTheme, currentTheme, type Theme, watchTheme } from "@/lib/theme";

export function ThemeToggle() {
  const theme = useSyncExternalStore<Theme>(watchTheme, currentTheme, () => "light");
  const other = theme === "dark" ? "light" : "dark";
  const Icon = theme === "dark" ? Sun : Moon;
  return (
    <button
      type="button"
      className="button-quiet px-2.5"
      onClick={() => chooseTheme(other)}
      aria-label={`Use the ${other} theme`}
      title={`Use the ${other} theme`}
      data-testid="theme-toggle"
    >
      <Icon className="size-4" aria-hidden="true" />
    </button>
  );
}
