import { useNavigate, useSearch } from "@tanstack/react-router";
import { oneOf } from "~/app/search";
import { Asked, Empty } from "~/ui/Asked";
import { Badge } from "~/ui/Badge";
import { Button } from "~/ui/Button";
import { Choice } from "~/ui/Choice";
import { ExportCsv } from "~/ui/ExportCsv";
import { Panel } from "~/ui/Panel";
import { cx } from "~/ui/styles";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { count, plural, words } from "~/words/numbers";
import { Causes } from "./Causes";
import { EventPanel } from "./EventPanel";
import { type Refused, STATES, useRefused } from "./refused";

const CHOICES = [
  { value: "waiting", name: t("Waiting") },
  { value: "resubmitted", name: t("Resubmitted") },
  { value: "dismissed", name: t("Dismissed") },
  { value: "all", name: t("All") },
] as const;

/** Events that were refused for what they say: looked at, put right and sent again, or dismissed with a reason. */
export function QuarantineTab() {
  const { detector, id, state } = useSearch({ from: "/operations" });
  const navigate = useNavigate();
  const shown = state === "all" ? undefined : (oneOf(STATES, state) ?? "waiting");
  const list = useRefused(shown, detector);
  const events = list.data?.pages.flatMap((page) => page.events) ?? [];
  const last = list.data?.pages[0];
  const open = (event: string | undefined) =>
    void navigate({ to: "/operations", search: (kept) => ({ ...kept, id: event }) });
  return (
    <>
      {id === undefined && <Causes detector={detector} />}
      <div className="grid items-start gap-4 lg:grid-cols-[minmax(300px,26rem)_minmax(0,1fr)]">
        <Panel
          flush
          title={t("Refused events")}
          about={
            last &&
            `${t("{n} kept", { n: count(last.kept) })}${last.lost ? t("; {lost} came too fast to be kept since the start", { lost: count(last.lost) }) : ""}`
          }
          className={cx(id !== undefined && "max-lg:hidden")}
        >
          <div className="px-4 pb-3">
            <Choice
              label={t("State")}
              options={CHOICES}
              value={shown ?? "all"}
              onChange={(value) =>
                void navigate({
                  to: "/operations",
                  search: (kept) => ({ ...kept, state: value === "waiting" ? undefined : value, id: undefined }),
                })
              }
            />
          </div>
          <Asked
            of={list}
            height={300}
            empty={() =>
              events.length === 0 && (
                <Empty title={shown === "waiting" ? t("Nothing waits in quarantine") : t("None")}>
                  {t("An event appears here when it fails validation.")}
                </Empty>
              )
            }
          >
            {() => (
              <ul aria-label={t("Refused events")} className="lg:max-h-[65vh] lg:overflow-y-auto">
                {events.map((event) => (
                  <Line key={event.id} event={event} here={event.id === id} onOpen={() => open(event.id)} />
                ))}
                {list.hasNextPage && (
                  <li className="p-3 text-center">
                    <Button onClick={() => void list.fetchNextPage()}>{t("Older events")}</Button>
                  </li>
                )}
                <li className="px-2 py-1 text-right">
                  <ExportCsv label={t("Refused events")} rows={events} />
                </li>
              </ul>
            )}
          </Asked>
        </Panel>
        {id === undefined ? (
          <Panel className="max-lg:hidden">
            <Empty title={t("No event is chosen")}>
              {events.length > 0
                ? t("Choose one of {n} to see what is wrong with it.", { n: plural(events.length, "event") })
                : ""}
            </Empty>
          </Panel>
        ) : (
          <EventPanel key={id} id={id} onBack={() => open(undefined)} />
        )}
      </div>
    </>
  );
}

const TONES = { waiting: "warn", resubmitted: "good", dismissed: "plain" } as const;

function Line({ event, here, onOpen }: { event: Refused; here: boolean; onOpen: () => void }) {
  return (
    <li className="border-t">
      <button
        type="button"
        aria-current={here ? "true" : undefined}
        onClick={onOpen}
        className={cx(
          "flex w-full cursor-pointer flex-col gap-0.5 px-4 py-2 text-left hover:bg-raised",
          here && "bg-raised shadow-[inset_3px_0_0_var(--accent)]",
        )}
      >
        <span className="flex w-full items-center gap-2 text-xs">
          <span className="text-soft">
            <Time at={event.received_at} />
          </span>
          <Badge>{event.detector ?? t("no detector")}</Badge>
          {event.field && <Badge tone="info">{event.field}</Badge>}
          {event.state !== "waiting" && (
            <Badge tone={TONES[event.state as keyof typeof TONES]}>{words(event.state)}</Badge>
          )}
        </span>
        <span className="line-clamp-2 break-words">{event.cause}</span>
      </button>
    </li>
  );
}
