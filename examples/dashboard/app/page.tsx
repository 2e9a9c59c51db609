import { SessionGate } from "@/components/session_gate";
import { SetupNeeded } from "@/components/setup_needed";
import { readSettings } from "@/lib/settings";

export default function Page() {
  const settings = readSettings(process.env);
  return "project" in settings ? (
    <SessionGate project={settings.project} />
  ) : (
    <SetupNeeded problems={settings.problems} />
  );
}
