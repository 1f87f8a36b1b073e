import { Link } from "@tanstack/react-router";
import type { Schemas } from "~/api/client";
import { Asked } from "~/ui/Asked";
import { cx } from "~/ui/styles";
import { t } from "~/words/language";
import { count, sums, words } from "~/words/numbers";
import { duration } from "~/words/times";
import { useQueues } from "./cases";

type Queue = Schemas["QueueForm"];

/** Each queue with its size, the age of its oldest, and who holds what; a click shows only its cases. */
export function Queues({ chosen }: { chosen: string | undefined }) {
  const queues = useQueues();
  return (
    <Asked of={queues} height={82}>
      {(data) => (
        <nav
          aria-label={t("Queues")}
          className="grid grid-cols-2 gap-2 sm:grid-cols-3 lg:grid-cols-[repeat(auto-fill,minmax(215px,1fr))]"
        >
          <Tile name={undefined} chosen={chosen} {...total(data.queues)} />
          {data.queues.map((queue) => (
            <Tile
              key={queue.queue}
              name={queue.queue}
              chosen={chosen}
              waiting={queue.waiting}
              taken={queue.taken}
              loss={queue.at_stake}
              oldest={queue.oldest_age_s}
              held={queue.held_by}
            />
          ))}
        </nav>
      )}
    </Asked>
  );
}

type Sum = Queue["at_stake"][number];

interface Sizes {
  waiting: number;
  taken: number;
  loss: readonly Sum[];
  oldest: number | null;
  held: Record<string, number>;
}

/** Sums of each currency, which are never added up across currencies. */
function byCurrency(some: readonly Sum[]): Sum[] {
  const found = new Map<string | null, number>();
  for (const { currency, amount } of some) found.set(currency, (found.get(currency) ?? 0) + amount);
  return [...found].map(([currency, amount]) => ({ currency, amount }));
}

/** All queues as one. */
export function total(queues: readonly Queue[]): Sizes {
  const held: Record<string, number> = {};
  for (const queue of queues) for (const [who, n] of Object.entries(queue.held_by)) held[who] = (held[who] ?? 0) + n;
  return {
    waiting: queues.reduce((sum, queue) => sum + queue.waiting, 0),
    taken: queues.reduce((sum, queue) => sum + queue.taken, 0),
    loss: byCurrency(queues.flatMap((queue) => queue.at_stake)),
    oldest: queues.length ? Math.max(...queues.map((queue) => queue.oldest_age_s)) : null,
    held,
  };
}

function Tile({ name, chosen, waiting, taken, loss, oldest, held }: Sizes & { name?: string; chosen?: string }) {
  const here = name === chosen;
  const holders = Object.entries(held).map(([who, n]) => `${who} ${count(n)}`);
  return (
    <Link
      to="/queue"
      search={(kept) => ({ ...kept, queue: name, case: undefined })}
      aria-current={here ? "true" : undefined}
      className={cx(
        "flex min-w-0 flex-col rounded-lg border bg-panel px-3 py-2 hover:bg-raised",
        here && "border-accent shadow-[inset_0_-3px_0_var(--accent)]",
      )}
    >
      <span className="flex items-baseline justify-between gap-2">
        <span className="truncate font-medium">{name ? words(name) : t("All queues")}</span>
        <span className="figure font-semibold text-lg">{count(waiting)}</span>
      </span>
      <span className="truncate text-soft text-xs">
        {t("oldest {oldest} · expected loss {loss}", { oldest: duration(oldest), loss: sums(loss) })}
      </span>
      <span className="truncate text-soft text-xs" title={holders.join(", ")}>
        {taken ? t("{taken} held: {value}", { taken: count(taken), value: holders.join(", ") }) : t("none assigned")}
      </span>
    </Link>
  );
}
