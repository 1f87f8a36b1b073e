import { Link } from "@tanstack/react-router";
import type { Schemas } from "~/api/client";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { value } from "~/words/numbers";
import { leftOver } from "./entry";

type Entry = Schemas["AuditEntry"];

const LINK = "text-accent underline";

/** One change: when, who, what, to what; what it was before and after; its place in the chain. */
export function EntryLine({ entry }: { entry: Entry }) {
  const details = leftOver(entry);
  return (
    <li className="flex flex-col gap-1 border-t px-4 py-2">
      <div className="flex flex-wrap items-baseline gap-x-4 gap-y-1">
        <span className="figure w-12 text-soft text-xs">{entry.seq}</span>
        <span className="w-28 text-soft">
          <Time at={entry.at} />
        </span>
        <Link to="/operations" search={(kept) => ({ ...kept, actor: entry.actor })} className={LINK}>
          {entry.actor}
        </Link>
        <Link to="/operations" search={(kept) => ({ ...kept, action: entry.action })} className={`font-medium ${LINK}`}>
          {entry.action}
        </Link>
        <Link
          to="/operations"
          search={(kept) => ({ ...kept, subject: entry.subject })}
          className={`min-w-0 break-all ${LINK}`}
        >
          {entry.subject}
        </Link>
        <code className="ml-auto text-soft text-xs" title={`SHA-256 ${entry.hash}`}>
          {entry.hash.slice(0, 12)}
        </code>
      </div>
      {entry.details === null && <p className="pl-16 text-soft text-xs">{t("its details were erased on request")}</p>}
      {entry.diff.length > 0 && (
        <ul className="pl-16 text-xs max-md:pl-0">
          {entry.diff.map((each) => (
            <li key={each.field} className="break-words">
              {each.field}: <del className="text-soft">{value(each.before)}</del> <span aria-hidden>→</span>{" "}
              <ins className="no-underline">{value(each.after)}</ins>
            </li>
          ))}
        </ul>
      )}
      {details.length > 0 && (
        <p className="break-words pl-16 text-soft text-xs max-md:pl-0">
          {details.map(([name, found]) => `${name}: ${value(found)}`).join(" · ")}
        </p>
      )}
    </li>
  );
}
