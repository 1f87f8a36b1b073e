import { Link } from "@tanstack/react-router";
import { useDetectors } from "~/api/detectors";
import type { Context } from "~/api/transactions";
import { Badge } from "~/ui/Badge";
import { t } from "~/words/language";
import { count, keyParts, plural, value, words } from "~/words/numbers";
import { Sparkline } from "./Sparkline";

type Entity = Context["entities"][number];
const VELOCITIES = 5;

/** Who and what took part: a tile each, with what is known of it now. */
export function EntityTiles({ of: context }: { of: Context }) {
  const single = context.entities.filter((each) => !each.key.includes("|"));
  const combined = context.entities.filter((each) => each.key.includes("|"));
  return (
    <section aria-label={t("Who and what took part")} className="flex flex-col gap-3">
      <Tiles of={single} context={context} />
      {combined.length > 0 && (
        <details>
          <summary className="cursor-pointer text-accent">
            {t("Combinations of these: {names}", { names: combined.map((each) => words(each.entity)).join(", ") })}
          </summary>
          <div className="pt-3">
            <Tiles of={combined} context={context} />
          </div>
        </details>
      )}
    </section>
  );
}

function Tiles({ of: entities, context }: { of: readonly Entity[]; context: Context }) {
  return (
    <div className="grid grid-cols-1 gap-4 sm:grid-cols-2 xl:grid-cols-3">
      {entities.map((entity) => (
        <Tile key={entity.entity} of={entity} context={context} />
      ))}
    </div>
  );
}

function Tile({ of: entity, context }: { of: Entity; context: Context }) {
  const { decisions } = entity;
  const served = useDetectors().data?.find((each) => each.name === context.detector);
  const labels = new Map(served?.features.map((each) => [each.name, each.label]) ?? []);
  const stopped = decisions.total - decisions.approve;
  return (
    <article className="min-w-0 rounded-lg border bg-panel p-4">
      <h2 className="flex items-center gap-2 text-soft text-xs">
        {words(entity.entity)}
        {entity.personal && <Badge>{t("personal")}</Badge>}
      </h2>
      <Link
        to="/entities/$entity/$key"
        params={{ entity: entity.entity, key: entity.key }}
        search={{ detector: context.detector }}
        className="block truncate font-semibold text-accent hover:underline"
        title={entity.shown}
      >
        {keyParts(entity.shown)}
      </Link>
      <p className="text-soft text-xs">
        <Link
          to="/transactions"
          search={{ detector: context.detector, entity: entity.entity, key: entity.key }}
          className="underline decoration-line underline-offset-2 hover:text-ink"
        >
          {plural(decisions.total, "decision")}
        </Link>
        {context.counted.complete ? "" : t(" looked through")}
        {t(", {stopped} stopped", { stopped: count(stopped) })}
        {entity.fraud > 0 && (
          <span className="text-block">{t(", {fraud} known fraud", { fraud: count(entity.fraud) })}</span>
        )}
        {entity.good > 0 && t(", {good} known legitimate", { good: count(entity.good) })}
      </p>
      <Sparkline of={entity.sparkline} />
      <dl className="mt-2 grid grid-cols-[1fr_auto] gap-x-3 gap-y-0.5 text-xs">
        {velocities(entity.features).map(([name, found]) => (
          <div key={name} className="contents">
            <dt className="truncate text-soft">{labels.get(name) ?? words(name)}</dt>
            <dd className="text-right font-medium">{value(found)}</dd>
          </div>
        ))}
        {entity.features === null && <dt className="text-soft">{t("No event of it is in state.")}</dt>}
      </dl>
    </article>
  );
}

/** The features that say how busy it is: those over a window come first. */
function velocities(features: Entity["features"]): [string, unknown][] {
  const windowed = (name: string) => (/_\d+[smhd]$/.test(name) ? 0 : 1);
  return Object.entries(features ?? {})
    .filter(([, found]) => found !== null)
    .sort(([one], [other]) => windowed(one) - windowed(other))
    .slice(0, VELOCITIES);
}
