"use client";

import { type FormEvent, useState } from "react";
import { customProblem, LABELS, type Period, PRESETS, presetPeriod } from "@/lib/period";
import { dayRange } from "@/lib/time";

interface Props {
  readonly period: Period;
  readonly today: string;
  readonly onChoose: (period: Period) => void;
}

export function PeriodPicker({ period, today, onChoose }: Props) {
  const [isOpen, setOpen] = useState(period.choice === "custom");
  const isCustom = isOpen || period.choice === "custom";
  return (
    <div className="flex flex-col gap-3">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <fieldset
          className="flex max-w-full min-w-0 gap-1 overflow-x-auto rounded-xl border border-line bg-card p-1"
          data-testid="period"
        >
          <legend className="sr-only">Period</legend>
          {PRESETS.map((choice) => (
            <Choice
              key={choice}
              label={LABELS[choice]}
              isChosen={!isCustom && period.choice === choice}
              onClick={() => {
                setOpen(false);
                onChoose(presetPeriod(choice, Date.parse(`${today}T00:00:00Z`)));
              }}
            />
          ))}
          <Choice label={LABELS.custom} isChosen={isCustom} onClick={() => setOpen(true)} />
        </fieldset>
        <p className="text-sm text-muted">{dayRange(period.from, period.to)}, UTC days</p>
      </div>
      {isCustom && <CustomDays period={period} today={today} onChoose={onChoose} />}
    </div>
  );
}

interface ChoiceProps {
  readonly label: string;
  readonly isChosen: boolean;
  readonly onClick: () => void;
}

function Choice({ label, isChosen, onClick }: ChoiceProps) {
  return (
    <button
      type="button"
      aria-pressed={isChosen}
      onClick={onClick}
      className={`min-h-9 shrink-0 rounded-lg px-2.5 text-sm font-semibold whitespace-nowrap sm:px-3 ${
        isChosen ? "bg-accent text-accent-ink" : "text-muted hover:bg-raised hover:text-ink"
      }`}
    >
      {label}
    </button>
  );
}

function CustomDays({ period, today, onChoose }: Props) {
  const [problem, setProblem] = useState<string | null>(null);

  function choose(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const from = String(form.get("from"));
    const to = String(form.get("to"));
    const found = customProblem(from, to);
    setProblem(found);
    if (found === null) onChoose({ choice: "custom", from, to });
  }

  return (
    <form
      className="flex flex-wrap items-end gap-3"
      onSubmit={choose}
      noValidate
      data-testid="custom-period"
    >
      <label className="flex flex-col gap-1 text-sm font-medium">
        First day
        <input
          className="field"
          type="date"
          name="from"
          defaultValue={period.from}
          max={today}
          required
        />
      </label>
      <label className="flex flex-col gap-1 text-sm font-medium">
        Last day
        <input className="field" type="date" name="to" defaultValue={period.to} required />
      </label>
      <button type="submit" className="button-primary min-h-11">
        Show
      </button>
      {problem !== null && (
        <p role="alert" className="w-full text-sm text-bad">
          {problem}
        </p>
      )}
    </form>
  );
}
