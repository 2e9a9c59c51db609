import { DoorClosed } from "lucide-react";
import type { Agency } from "@/lib/models";
import { EmptyState } from "./empty_state";

interface Props {
  readonly name: string;
  readonly others: readonly Agency[];
  readonly onChoose: (id: string) => void;
}

/** What stands in the place of an agency that somebody no longer belongs to. */
export function NoLongerMember({ name, others, onChoose }: Props) {
  return (
    <div role="alert" className="card wrap-anywhere" data-testid="no-longer-member">
      <EmptyState icon={DoorClosed} title={`You are no longer a member of ${name}.`}>
        {others.length === 0 ? (
          <p>Ask an owner of the agency to invite you.</p>
        ) : (
          <>
            <p>Go on with</p>
            <ul className="flex max-w-full flex-col gap-2">
              {others.map((agency) => (
                <li key={agency.id}>
                  <button
                    type="button"
                    className="button-quiet w-full"
                    onClick={() => onChoose(agency.id)}
                    data-testid="other-agency"
                    data-agency-id={agency.id}
                  >
                    <bdi>{agency.name}</bdi>
                  </button>
                </li>
              ))}
            </ul>
          </>
        )}
      </EmptyState>
    </div>
  );
}
