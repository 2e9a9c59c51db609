import { atHandle, type Model, nameOf } from "@/lib/models";
import { formatMoney } from "@/lib/money";
import type { Stats } from "@/lib/stats";

interface Props {
  readonly stats: Stats;
  readonly models: ReadonlyMap<string, Model>;
}

/** Who spent most in the thirty days before each creator's last snapshot. */
export function TopFanList({ stats, models }: Props) {
  if (stats.top_fans.length === 0) return null;
  const creators = new Map(stats.by_model.map((model) => [model.model_id, model]));
  return (
    <section className="card p-5" aria-labelledby="fans-title" data-testid="top-fans">
      <h3 id="fans-title" className="card-title">
        Top fans
      </h3>
      <p className="mb-3 text-sm text-muted">
        What they spent in the thirty days up to the last reading
      </p>
      <ol className="flex flex-col">
        {stats.top_fans.map((fan, place) => (
          <li
            key={`${fan.model_id}:${fan.fan_uuid}`}
            className="flex items-baseline gap-3 border-t border-line py-2 first:border-0"
          >
            <span className="figures w-5 text-right text-sm text-muted">{place + 1}</span>
            <span className="min-w-0 flex-1 truncate">
              <bdi>{fan.display_name?.trim() || atHandle(fan.handle) || "A fan"}</bdi>
              <span className="text-sm text-muted">
                {" "}
                · <bdi>{nameOf(models.get(fan.model_id) ?? creators.get(fan.model_id))}</bdi>
              </span>
            </span>
            <span className="figures font-semibold">{formatMoney(fan.gross)}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}
