import { useNavigate } from "@tanstack/react-router";
import { Pause, Play } from "lucide-react";
import { useRef, useState } from "react";
import { useMessages } from "~/live/useLive";
import { Button } from "~/ui/Button";
import { Panel } from "~/ui/Panel";
import { useKeys } from "~/ui/useKeys";
import { t } from "~/words/language";
import { count, perSecond } from "~/words/numbers";
import { StreamRow } from "./StreamRow";
import { EMPTY, ROWS, released, type Stream, told } from "./stream";

/** The height of a row, as its class says. */
const ROW_REM = 3.25;

/** Decisions as they are made: a few rows, which stand still while somebody points at them, reads or holds them. */
export function StreamPanel({ detector, className }: { detector: string | undefined; className?: string }) {
  const [stream, setStream] = useState<Stream>(EMPTY);
  const [paused, setPaused] = useState(false);
  const [read, setRead] = useState(false);
  const [rate, setRate] = useState<number | null>(null);
  const held = useRef(false);
  held.current = paused || read;
  const navigate = useNavigate();

  useMessages((message) => {
    setRate(message.stats?.per_second ?? null);
    setStream((now) => told(now, message, held.current, detector));
  });
  const letGo = (stillPaused: boolean, stillRead: boolean) => {
    if (!stillPaused && !stillRead) setStream(released);
  };
  const pause = () => {
    setPaused(!paused);
    letGo(!paused, read);
  };
  const reading = (now: boolean) => {
    setRead(now);
    letGo(paused, now);
  };
  useKeys({ p: pause });

  return (
    <Panel
      title={t("Decisions")}
      about={<span data-stream-about>{about(stream, rate, paused, read)}</span>}
      actions={
        <Button onClick={pause} shortcut="p" aria-pressed={paused} className="min-w-28">
          {paused ? <Play aria-hidden size={14} /> : <Pause aria-hidden size={14} />}
          {paused ? t("Resume") : t("Pause")}
        </Button>
      }
      className={className}
    >
      <ol
        aria-label={t("Newest decisions")}
        data-held={paused || read}
        onPointerEnter={(event) => event.pointerType === "mouse" && reading(true)}
        onPointerLeave={(event) => event.pointerType === "mouse" && reading(false)}
        onFocus={() => reading(true)}
        onBlur={(event) => {
          if (!event.currentTarget.contains(event.relatedTarget)) reading(false);
        }}
        style={{ height: `${ROWS * ROW_REM}rem` }}
        className="-mx-4 overflow-hidden"
      >
        {stream.shown.map((decision) => (
          <StreamRow
            key={decision.transaction_id}
            decision={decision}
            onOpen={() =>
              void navigate({ to: "/transactions/$id", params: { id: decision.transaction_id }, search: { detector } })
            }
          />
        ))}
        {stream.shown.length === 0 && <li className="px-4 py-2 text-soft">{t("No decision yet.")}</li>}
      </ol>
    </Panel>
  );
}

function about(stream: Stream, rate: number | null, paused: boolean, read: boolean): string {
  const newer = stream.missed === 1 ? t("1 newer waits") : t("{n} newer wait", { n: count(stream.missed) });
  if (paused) return `Paused; ${newer}`;
  if (read) return t("Held while you read; {newer}", { newer });
  if (stream.leftOut > 0) return t("A sample: the newest of {rate} a second", { rate: perSecond(rate) });
  return t("Every decision, the newest first");
}
