"use client";

import { LogOut } from "lucide-react";
import type { ReactNode } from "react";
import type { Agency } from "@/lib/models";
import { Brand } from "./brand";
import { ThemeToggle } from "./theme_toggle";

export interface HeaderProps {
  readonly email: string | null;
  readonly agencies: readonly Agency[];
  readonly agencyId: string | null;
  readonly onChooseAgency?: (id: string) => void;
  readonly onSignOut: () => void;
  readonly children?: ReactNode;
}

export function Header(props: HeaderProps) {
  const { agencies, agencyId } = props;
  const name = agencies.find(({ id }) => id === agencyId)?.name ?? "Earnings, live";
  return (
    <header className="sticky top-0 z-20 border-b border-line bg-canvas/85 backdrop-blur-md">
      <div className="mx-auto flex max-w-[90rem] items-center gap-3 px-4 py-2.5 sm:px-6">
        <Brand />
        <h1 className="min-w-0 flex-1 truncate text-lg font-semibold tracking-tight">
          {agencies.length > 1 ? (
            <select
              aria-label="Agency"
              data-testid="agency-select"
              className="-ml-1.5 max-w-full truncate [field-sizing:content] rounded-lg bg-transparent py-1 pr-1 pl-1.5 font-semibold hover:bg-raised"
              value={agencyId ?? ""}
              onChange={(event) => props.onChooseAgency?.(event.target.value)}
            >
              {agencies.map((agency) => (
                <option key={agency.id} value={agency.id} dir="auto" className="bg-card text-ink">
                  {agency.name}
                </option>
              ))}
            </select>
          ) : (
            <bdi>{name}</bdi>
          )}
        </h1>
        {props.children}
        <ThemeToggle />
        <button
          type="button"
          className="button-quiet px-2.5"
          onClick={props.onSignOut}
          aria-label={props.email === null ? "Sign out" : `Sign out ${props.email}`}
          title={props.email === null ? "Sign out" : `Sign out ${props.email}`}
          data-testid="sign-out"
        >
          <LogOut className="size-4" aria-hidden="true" />
        </button>
      </div>
    </header>
  );
}
