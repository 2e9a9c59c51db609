/**
 * Light or dark: the system's, until somebody chooses. The choice is kept in this browser.
 */

export type Theme = "light" | "dark";

const KEY = "theme";

/**
 * Runs before the first paint, on every page: sets the theme, and follows the system while nobody
 * has chosen. Storage may be forbidden; then the system decides.
 */
export const THEME_SCRIPT = `(function(){var q=matchMedia("(prefers-color-scheme: dark)");
function set(){var t;try{t=localStorage.getItem("${KEY}")}catch(e){}
if(t!=="light"&&t!=="dark")t=q.matches?"dark":"light";
document.documentElement.dataset.theme=t}
set();q.addEventListener("change",set)})()`;

export function currentTheme(): Theme {
  return document.documentElement.dataset.theme === "dark" ? "dark" : "light";
}

export function chooseTheme(theme: Theme): void {
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}

/** Calls back whenever the theme changed. */
export function watchTheme(changed: () => void): () => void {
  const observer = new MutationObserver(changed);
  observer.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  return () => observer.disconnect();
}
