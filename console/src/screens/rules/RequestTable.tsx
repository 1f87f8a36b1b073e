import { Link } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import { useMay, useSession } from "~/session/session";
import { Badge } from "~/ui/Badge";
import { Button } from "~/ui/Button";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import type { Asked } from "./books";
import { details, settling } from "./requests";
import { SettleDialog } from "./SettleDialog";

const TONES: Record<string, "warn" | "good" | "bad" | "plain"> = { pending: "warn", approved: "good", rejected: "bad" };

interface Props {
  detector: string;
  requests: readonly Asked[];
  empty?: ReactNode;
}

/** Requests: what is asked for, by whom, and what one can do about it. */
export function RequestTable({ detector, requests, empty }: Props) {
  const may = useMay(detector);
  const { data } = useSession();
  const [answering, setAnswering] = useState<{ request: Asked; approve: boolean; own: boolean } | null>(null);
  if (requests.length === 0) return empty;
  return (
    <>
      <ul aria-label={t("Requests")} className="divide-y border-t">
        {requests.map((each) => {
          const can = settling(each, data?.name ?? "", may);
          return (
            <li key={each.id} className="flex flex-wrap items-center gap-x-4 gap-y-2 px-4 py-3">
              <div className="min-w-0 flex-1 basis-72">
                <p className="flex flex-wrap items-center gap-2">
                  <Badge tone={TONES[each.stage] ?? "plain"}>{each.stage === "pending" ? "waiting" : each.stage}</Badge>
                  <Named detector={detector} request={each} />
                  <span>{details(each)}</span>
                </p>
                <p className="break-words text-soft text-xs">
                  <Time at={each.asked_at} /> {t("by {asked_by}", { asked_by: each.asked_by })}
                  {each.author !== each.asked_by && t(", written by {author}", { author: each.author })}
                  {each.note && `: ${each.note}`}
                </p>
                {each.settled_by && (
                  <p className="break-words text-soft text-xs">
                    {each.stage} <Time at={each.settled_at} /> {t("by {settled_by}", { settled_by: each.settled_by })}
                    {each.settled_note && `: ${each.settled_note}`}
                  </p>
                )}
                {can.why && <p className="text-review text-xs">{can.why}</p>}
              </div>
              <div className="flex gap-2">
                {can.approve && (
                  <Button look="main" onClick={() => setAnswering({ request: each, approve: true, own: false })}>
                    {t("Approve")}
                  </Button>
                )}
                {can.reject && (
                  <Button look="danger" onClick={() => setAnswering({ request: each, approve: false, own: can.own })}>
                    {can.own ? t("Withdraw") : t("Reject")}
                  </Button>
                )}
              </div>
            </li>
          );
        })}
      </ul>
      {answering && <SettleDialog detector={detector} {...answering} onClose={() => setAnswering(null)} />}
    </>
  );
}

function Named({ detector, request }: { detector: string; request: Asked }) {
  const look = "font-medium text-accent hover:underline";
  switch (request.kind) {
    case "rule":
      return (
        <Link to="/rules/$detectorName/$rule" params={{ detectorName: detector, rule: request.name }} className={look}>
          {request.name}
        </Link>
      );
    case "list":
      return (
        <Link to="/rules" search={{ detector, tab: "lists", list: request.name }} className={look}>
          {request.name}
        </Link>
      );
    case "feature":
      return (
        <Link to="/features" search={{ detector }} className={look}>
          {request.name}
        </Link>
      );
    default:
      return (
        <Link to="/models" search={{ detector }} className={look}>
          {request.kind} {request.name}
        </Link>
      );
  }
}
