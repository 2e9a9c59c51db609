const HUES = [258, 172, 32, 330, 210, 285, 145, 12];

/** A name's first letters on a colour of its own. Pictures would come from elsewhere. */
export function Avatar({ name }: { name: string }) {
  const letters = name.replace(/^@/, "").slice(0, 2).toUpperCase();
  const hue =
    HUES[[...name].reduce((sum, letter) => sum + (letter.codePointAt(0) ?? 0), 0) % HUES.length];
  return (
    <span
      aria-hidden="true"
      className="grid size-9 shrink-0 place-items-center rounded-full text-xs font-semibold text-white"
      style={{ background: `linear-gradient(140deg, hsl(${hue} 60% 52%), hsl(${hue} 65% 38%))` }}
    >
      {letters}
    </span>
  );
}
