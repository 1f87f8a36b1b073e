import type { Context } from "~/api/transactions";
import { Panel } from "~/ui/Panel";
import { t } from "~/words/language";
import { count, words } from "~/words/numbers";
import { moment } from "~/words/times";
import { framed, kilometres, roundBelow, type Spot } from "./places";

const WIDTH = 560;
const HEIGHT = 280;

interface Drawn extends Spot {
  name: string;
  kind: "this" | "named" | "other";
}

/** Where it took place, and where else the customer paid: a plain map, true to distance, without anything from outside. */
export function PlacesPanel({ of: context }: { of: Context }) {
  const here = context.places[0];
  if (!here) return null;
  const drawn = spots(context);
  const { at, kmPerUnit } = framed(drawn, WIDTH, HEIGHT);
  const scale = roundBelow(kmPerUnit * WIDTH * 0.3);
  return (
    <Panel title={t("Places")} about={t("The newest around it; distances along the surface, north is up")}>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        className="w-full rounded-md bg-ground"
        role="img"
        aria-label={`Map: ${drawn.map((spot) => `${spot.name} ${far(here, spot)}`).join("; ")}`}
      >
        {[...drawn].reverse().map((spot) => (
          <Mark key={`${spot.name} ${spot.latitude} ${spot.longitude}`} spot={spot} from={at(here)} {...at(spot)} />
        ))}
        <g transform={`translate(14 ${HEIGHT - 12})`}>
          <path d={`M0 -4V0H${scale / kmPerUnit}V-4`} fill="none" stroke="var(--soft)" />
          <text x={scale / kmPerUnit + 6} fontSize="11" fill="var(--soft)">
            {distance(scale)}
          </text>
        </g>
      </svg>
      <ul aria-label={t("Distances")} className="mt-2 flex flex-wrap gap-x-5 gap-y-1 text-xs">
        {drawn.slice(0, 6).map((spot) => (
          <li key={`${spot.name} ${spot.latitude} ${spot.longitude}`}>
            <span className={spot.kind === "this" ? "font-medium" : "text-soft"}>{spot.name}</span> {far(here, spot)}{" "}
            <span className="text-soft">
              ({spot.latitude.toFixed(2)}, {spot.longitude.toFixed(2)})
            </span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function Mark({ spot, from, x, y }: { spot: Drawn; from: { x: number; y: number }; x: number; y: number }) {
  const colour = spot.kind === "this" ? "var(--block)" : spot.kind === "named" ? "var(--challenge)" : "var(--accent)";
  return (
    <g>
      {spot.kind !== "this" && (
        <line x1={from.x} y1={from.y} x2={x} y2={y} stroke="var(--line)" strokeDasharray="3 3" />
      )}
      {spot.kind === "named" ? (
        <rect x={x - 5} y={y - 5} width={10} height={10} fill={colour} />
      ) : (
        <circle cx={x} cy={y} r={spot.kind === "this" ? 7 : 4} fill={colour} stroke="var(--panel)" strokeWidth={1.5} />
      )}
      {spot.kind !== "other" && (
        <text x={x + 10} y={y + 4} fontSize="12" fill="var(--ink)">
          {spot.name}
        </text>
      )}
    </g>
  );
}

/** This transaction's places first, then those of its neighbours, the nearest in time first; each spot once. */
function spots(context: Context): Drawn[] {
  const [here, ...named] = context.places;
  const around = context.timeline?.transactions ?? [];
  const place = around.findIndex((each) => each.this);
  const others = around
    .map((each, n) => ({ each, apart: Math.abs(n - place) }))
    .filter(({ each }) => !each.this && each.place !== null)
    .sort((one, other) => one.apart - other.apart)
    .flatMap(({ each }) =>
      each.place ? [{ ...each.place, name: moment(each.event_time), kind: "other" as const }] : [],
    );
  const all: Drawn[] = [
    ...(here ? [{ ...here, name: "this", kind: "this" as const }] : []),
    ...named.map((each) => ({ ...each, name: words(each.name), kind: "named" as const })),
    ...others,
  ];
  const once = new Map<string, Drawn>();
  for (const spot of all) {
    const where = `${spot.latitude.toFixed(3)} ${spot.longitude.toFixed(3)}`;
    if (!once.has(where)) once.set(where, spot);
  }
  return [...once.values()];
}

function far(here: Spot, spot: Drawn): string {
  return spot.kind === "this" ? "" : distance(kilometres(here, spot));
}

function distance(km: number): string {
  return km < 1 ? `${Math.round(1000 * km)} m` : `${count(km < 10 ? Number(km.toFixed(1)) : Math.round(km))} km`;
}
