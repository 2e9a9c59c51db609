/**
 * Light or dark: the system's, until somebody chooses. The choice is kept in this browser.
 */

export type Theme = "light" | "dark";

const KEY = "theme";

/** Runs before the first paint. Storage may be forbidden; then the system decides. */
export const THEME_SCRIPT = `(function(){var t;try{t=localStorage.getItem("${KEY}")}catch(e){}
if(t!=="light"&&t!=="dark")t=matchMedia("(prefers-color-scheme: dark)").matches?"dark":"light";
document.documentElement.dataset.theme=t})()`;

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

/** Follows the system while nobody has chosen; calls back whenever the theme may have changed. */
export function watchTheme(changed: () => void): () => void {
  const query = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => {
    if (!hasChosen()) document.documentElement.dataset.theme = query.matches ? "dark" : "light";
  };
  const observer = new MutationObserver(changed);
  observer.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  query.addEventListener("change", follow);
  return () => {
    observer.disconnect();
    query.removeEventListener("change", follow);
  };
}

function hasChosen(): boolean {
  try {
    return localStorage.getItem(KEY) !== null;
  } catch {
    return false;
  }
}
