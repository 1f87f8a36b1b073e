import { Link } from "@tanstack/react-router";
import { type NamedField, nameOf } from "~/api/summaries";
import { words } from "~/words/numbers";

interface Props {
  of: { transaction_id: string; detector: string; named: readonly NamedField[] };
}

/** Who pays whom, in one line of text; the names of the fields on hover. */
export function Identity({ of }: Props) {
  const said = of.named.map((each) => `${words(each.field)}: ${each.value}`).join("\n");
  return (
    <span className="min-w-0 truncate font-medium" title={said || undefined}>
      {nameOf(of)}
    </span>
  );
}

/** The same with a link to the page of each key. */
export function LinkedIdentity({ of }: Props) {
  if (of.named.length === 0) return <span className="break-all font-mono text-xs">{of.transaction_id}</span>;
  return (
    <span className="flex min-w-0 flex-wrap items-baseline gap-x-1.5">
      {of.named.map((each, place) => (
        <span key={each.field} className="flex min-w-0 items-baseline gap-x-1.5">
          {place > 0 && (
            <span aria-hidden className="text-soft">
              {each.role === "payee" ? "→" : "·"}
            </span>
          )}
          <Party of={each} detector={of.detector} />
        </span>
      ))}
    </span>
  );
}

function Party({ of, detector }: { of: NamedField; detector: string }) {
  const title = words(of.field);
  if (of.entity === null) return <span title={title}>{of.value}</span>;
  return (
    <Link
      to="/entities/$entity/$key"
      params={{ entity: of.entity, key: of.value }}
      search={{ detector }}
      onClick={(event) => event.stopPropagation()}
      title={title}
      className="min-w-0 break-all text-accent hover:underline"
    >
      {of.value}
    </Link>
  );
}
