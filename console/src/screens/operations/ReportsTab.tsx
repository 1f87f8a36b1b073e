import { useQuery } from "@tanstack/react-query";
import { Link, useSearch } from "@tanstack/react-router";
import { ExternalLink } from "lucide-react";
import { useState } from "react";
import { api, BASE, type Schemas, say } from "~/api/client";
import { Asked, Empty, Waiting } from "~/ui/Asked";
import { Badge } from "~/ui/Badge";
import { Panel } from "~/ui/Panel";
import { cx } from "~/ui/styles";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { plural } from "~/words/numbers";

type Day = Schemas["ReportDay"];

/** The days that can be reported, and the page of the chosen one; it is made when it is asked for. */
export function ReportsTab() {
  const { detector, id } = useSearch({ from: "/operations" });
  const days = useQuery({
    queryKey: ["reports", detector],
    staleTime: 60_000,
    refetchInterval: ({ state }) => (state.data?.computed_at === null ? 1_000 : false),
    queryFn: async () => say(await api.GET("/reports", { params: { query: { detector } } })),
  });
  return (
    <Asked
      of={days}
      height={420}
      empty={({ reports, computed_at }) =>
        reports.length === 0 &&
        (computed_at === null ? (
          <Waiting height={420} />
        ) : (
          <Panel>
            <Empty title={t("No day to report yet")}>{t("A day appears here with its first decision.")}</Empty>
          </Panel>
        ))
      }
    >
      {({ reports, computed_at }) => {
        const chosen = reports.find((day) => idOf(day) === id) ?? reports[0];
        return (
          <div className="grid gap-4 lg:grid-cols-[18rem_minmax(0,1fr)]">
            <Panel
              title={t("Days")}
              about={
                <>
                  {t("UTC, by the time of the decisions; counted")}{" "}
                  {computed_at ? <Time at={computed_at} form="full" /> : t("in part so far")}
                </>
              }
              flush
              className="self-start"
            >
              <ul className="max-h-56 overflow-y-auto lg:max-h-[70vh]">
                {reports.map((day) => (
                  <Line key={idOf(day)} day={day} here={day === chosen} />
                ))}
              </ul>
            </Panel>
            {chosen && <Report day={chosen} />}
          </div>
        );
      }}
    </Asked>
  );
}

function idOf(day: Day): string {
  return `${day.date}~${day.detector}`;
}

function Line({ day, here }: { day: Day; here: boolean }) {
  return (
    <li className="border-t">
      <Link
        to="/operations"
        search={(kept) => ({ ...kept, id: idOf(day) })}
        aria-current={here ? "true" : undefined}
        className={cx(
          "flex items-center gap-2 px-4 py-2 hover:bg-raised",
          here && "bg-raised shadow-[inset_3px_0_0_var(--accent)]",
        )}
      >
        <span className="min-w-0 flex-1">
          <span className="figure block font-medium">{day.date}</span>
          <span className="text-soft text-xs">
            {day.detector}, {plural(day.decisions, "decision")}
          </span>
        </span>
        {!day.finished && <Badge tone="info">{t("in progress")}</Badge>}
      </Link>
    </li>
  );
}

/** The page as the service makes it: shown as a picture is, without scripts or a way to anything else. */
function Report({ day }: { day: Day }) {
  const page = `${BASE}/reports/${day.date}?detector=${encodeURIComponent(day.detector)}&format=html`;
  const [shown, setShown] = useState<string>();
  return (
    <Panel
      flush
      about={shown === page ? t("As much as is known by now") : t("Generating…")}
      title={t("{detector} on {date}", { detector: day.detector, date: day.date })}
      actions={
        <a href={page} target="_blank" rel="noreferrer" className="flex items-center gap-1 text-accent underline">
          {t("Open in new tab")} <ExternalLink aria-hidden size={14} />
        </a>
      }
    >
      <iframe
        key={page}
        src={page}
        sandbox=""
        onLoad={() => setShown(page)}
        title={t("Report of {detector} on {date}", { detector: day.detector, date: day.date })}
        className="h-[75vh] w-full border-t bg-white"
      />
    </Panel>
  );
}
