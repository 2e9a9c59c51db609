/** Grey shapes where figures are about to stand. */

export function Lines({ count, label }: { count: number; label: string }) {
  return (
    <div className="flex flex-col gap-3" role="status" aria-label={label}>
      {Array.from({ length: count }, (_, line) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the lines have nothing else
        <div key={line} className="skeleton h-9" />
      ))}
    </div>
  );
}

export function FiguresSkeleton() {
  return (
    <div className="grid gap-4" role="status" aria-label="Loading the figures">
      <div className="skeleton h-40 rounded-2xl" />
      <div className="skeleton h-72 rounded-2xl" />
      <div className="grid gap-4 sm:grid-cols-2">
        <div className="skeleton h-56 rounded-2xl" />
        <div className="skeleton h-56 rounded-2xl" />
      </div>
    </div>
  );
}

export function DashboardSkeleton() {
  return (
    <div className="mx-auto max-w-[90rem] p-4 sm:p-6">
      <div className="mb-6 flex items-center gap-3">
        <div className="skeleton size-8" />
        <div className="skeleton h-8 w-48" />
      </div>
      <div className="grid gap-4 lg:grid-cols-[minmax(0,1fr)_23rem]">
        <FiguresSkeleton />
        <div className="skeleton hidden rounded-2xl lg:block" />
      </div>
    </div>
  );
}
