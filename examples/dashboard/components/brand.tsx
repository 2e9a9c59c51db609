/** The mark of the dashboard. */
export function Brand() {
  return (
    <svg viewBox="0 0 32 32" className="size-8 shrink-0" aria-hidden="true">
      <rect width="32" height="32" rx="9" fill="#5b5bd6" />
      <path
        d="M7 20.5 12.5 14l4.5 4L25 9.5"
        fill="none"
        stroke="#fff"
        strokeWidth="3"
        strokeLinecap="round"
        strokeLinejoin="round"
      />
      <circle cx="25" cy="9.5" r="2.6" fill="#7ee2b8" />
    </svg>
  );
}
