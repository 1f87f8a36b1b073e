import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { api, say } from "~/api/client";
import { useMay } from "~/session/session";
import { Button } from "~/ui/Button";
import { Panel } from "~/ui/Panel";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { words } from "~/words/numbers";
import { useWork } from "./books";

/** The customers for whom a rule is snoozed; nothing where it is for none. */
export function Snoozes({ detector, rule }: { detector: string; rule: string }) {
  const params = { path: { name: detector, rule } };
  const { data } = useQuery({
    queryKey: ["rules", detector, "snoozes", rule],
    refetchInterval: 30_000,
    queryFn: async ({ signal }) =>
      say(await api.GET("/detectors/{name}/rules/{rule}/snoozes", { params, signal })).snoozes,
  });
  const may = useMay();
  const work = useWork(detector);
  if (!data?.length) return null;
  const end = (entity: string, key: string) =>
    work.mutate(async () => {
      say(await api.POST("/detectors/{name}/rules/{rule}/snoozes/end", { params, body: { entity, key, note: "" } }));
      return t("{rule} acts on {entity} {key} again.", { rule, entity, key });
    });
  return (
    <Panel title={t("Snoozed")} about={t("For these the rule records where it fires, and does not act.")}>
      <ul aria-label={t("Snoozed")} className="flex flex-col gap-2">
        {data.map(({ entity, key, by, reason, until }) => (
          <li key={`${entity} ${key}`} className="flex flex-wrap items-center gap-x-4 gap-y-1">
            <Link
              to="/entities/$entity/$key"
              params={{ entity, key }}
              search={{ detector }}
              className="font-medium text-accent hover:underline"
            >
              {words(entity)} {key}
            </Link>
            <span>
              {t("until")} <Time at={until} form="full" />
            </span>
            <span className="text-soft">
              {t("by {by}", { by })}
              {reason && `: ${reason}`}
            </span>
            {(may("author") || may("approve")) && (
              <Button look="quiet" className="ml-auto" onClick={() => end(entity, key)}>
                {t("End now")}
              </Button>
            )}
          </li>
        ))}
      </ul>
    </Panel>
  );
}
