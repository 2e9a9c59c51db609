import { Notice } from "./notice";

/** What stands here until the dashboard knows its project. */
export function SetupNeeded({ problems }: { problems: readonly string[] }) {
  return (
    <Notice title="This dashboard is not set up yet">
      <p className="text-muted">
        It reads two settings from the server's environment and shows the figures of that Supabase
        project.
      </p>
      <ul className="list-disc space-y-1 pl-5" data-testid="setup-problems">
        {problems.map((problem) => (
          <li key={problem}>{problem}</li>
        ))}
      </ul>
      <p className="text-muted">Set them and load this page again; nothing has to be built anew.</p>
    </Notice>
  );
}
