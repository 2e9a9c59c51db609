import { ConnectButton, type ConnectTarget } from "./connect_button";

const ONE_CREATOR = { kind: "creator", modelId: null } as const;
const WHOLE_AGENCY = { kind: "agency", connectionId: null } as const;

/** The two ways in: one creator by their own account, or all whom the agency's account manages. */
export function ConnectChoices(target: ConnectTarget) {
  return (
    <div className="flex flex-col gap-3 text-left">
      <p id="connect-creator">The creator signs in at Fanvue and allows access.</p>
      <ConnectButton
        {...target}
        account={ONE_CREATOR}
        label="Connect a creator"
        describedBy="connect-creator"
      />
      <p id="connect-agency">
        Or once for all creators: an owner or admin signs in at Fanvue with the agency's manager
        account.
      </p>
      <ConnectButton
        {...target}
        account={WHOLE_AGENCY}
        label="Connect the agency's account"
        describedBy="connect-agency"
      />
    </div>
  );
}
