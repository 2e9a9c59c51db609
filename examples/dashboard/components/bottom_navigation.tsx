import { Activity, ChartColumn, Radio } from "lucide-react";

const PLACES = [
  { href: "#overview", label: "Figures", icon: ChartColumn },
  { href: "#live", label: "Live", icon: Radio },
  { href: "#sync", label: "Sync", icon: Activity },
] as const;

/** The way about on a phone, where a thumb reaches it. */
export function BottomNavigation() {
  return (
    <nav
      aria-label="Sections"
      className="fixed inset-x-0 bottom-0 z-20 border-t border-line bg-card/95 pb-[env(safe-area-inset-bottom)] backdrop-blur-md lg:hidden"
    >
      <ul className="mx-auto grid max-w-md grid-cols-3">
        {PLACES.map(({ href, label, icon: Icon }) => (
          <li key={href}>
            <a
              href={href}
              className="flex min-h-14 flex-col items-center justify-center gap-0.5 text-xs font-semibold text-muted active:text-accent"
            >
              <Icon className="size-5" aria-hidden="true" />
              {label}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}
