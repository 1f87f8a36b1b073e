import { Link } from "@tanstack/react-router";
import { useMemo } from "react";
import type { Schemas } from "~/api/client";
import { t } from "~/words/language";
import { count, plural, words } from "~/words/numbers";
import { layout, type Node, type Placed } from "./layout";

const [WIDTH, HEIGHT] = [620, 460];
/** From the middle to the outermost keys, whose names take room beyond. */
const [ACROSS, DOWN] = [WIDTH / 2 - 30, HEIGHT / 2 - 12];
const [LONGEST, MOST_NAMED] = [16, 16];

/** How each outcome looks: a colour of the theme and a sign, so that colour is not the only one. */
const LOOKS = {
  known_fraud: { colour: "fill-block", sign: "!", text: t("known fraud") },
  blocked: { colour: "fill-block", sign: "×", text: "blocked" },
  reviewed: { colour: "fill-review", sign: "?", text: t("to review") },
  legitimate: { colour: "fill-approve", sign: "✓", text: "legitimate" },
  undecided: { colour: "fill-accent", sign: "·", text: "undecided" },
  hub: { colour: "fill-soft", sign: "∗", text: t("hub, not followed") },
} as const;

function lookOf(node: Node) {
  return LOOKS[node.hub ? "hub" : node.outcome];
}

/** The keys of a ring around the one that was asked about; each leads to its own page. The table beside it says the same. */
export function RingPicture({ ring }: { ring: Schemas["EntityRing"] }) {
  const placed = useMemo(() => layout(ring.nodes, ring.edges), [ring]);
  const at = useMemo(() => new Map(placed.map((node) => [node.id, node])), [placed]);
  const most = Math.max(1, ...ring.edges.map((edge) => edge.transactions));
  const named = placed.length <= MOST_NAMED;
  return (
    <figure>
      <svg viewBox={`${-WIDTH / 2} ${-HEIGHT / 2} ${WIDTH} ${HEIGHT}`} className="mx-auto w-full max-w-[620px]">
        <title>
          {t("{value} linked with {entity} {key}", {
            value: plural(ring.nodes.length - 1, "key"),
            entity: words(ring.entity),
            key: ring.key,
          })}
        </title>
        {ring.edges.map((edge) => {
          const [from, to] = [at.get(edge.source), at.get(edge.target)];
          if (!from || !to) return null;
          const grave = !from.hub && !to.hub && (edge.outcome === "known_fraud" || edge.outcome === "blocked");
          return (
            <line
              key={`${edge.source} ${edge.target}`}
              x1={from.x * ACROSS}
              y1={from.y * DOWN}
              x2={to.x * ACROSS}
              y2={to.y * DOWN}
              className={grave ? "stroke-block" : "stroke-line"}
              strokeWidth={1 + (3 * edge.transactions) / most}
            >
              <title>{`${plural(edge.transactions, "transaction")}, ${LOOKS[edge.outcome].text}`}</title>
            </line>
          );
        })}
        {placed.map((node) => (
          <Key key={node.id} node={node} named={named} />
        ))}
        {!named && placed.filter((node) => node.distance === 0).map((node) => <Name key={node.id} node={node} />)}
      </svg>
      <figcaption className="flex flex-wrap justify-center gap-4 pt-2 text-soft text-xs">
        {Object.values(LOOKS).map((look) => (
          <span key={look.text} className="inline-flex items-center gap-1">
            <Sign of={look} /> {look.text}
          </span>
        ))}
      </figcaption>
    </figure>
  );
}

function Sign({ of }: { of: (typeof LOOKS)[keyof typeof LOOKS] }) {
  return (
    <svg aria-hidden width="14" height="14" viewBox="-7 -7 14 14" className="shrink-0">
      <circle r="7" className={of.colour} />
      <text className="fill-panel" fontSize="10" fontWeight="700" textAnchor="middle" dy="3.5">
        {of.sign}
      </text>
    </svg>
  );
}

function Key({ node, named }: { node: Placed; named: boolean }) {
  const look = lookOf(node);
  const middle = node.distance === 0;
  const said = `${words(node.entity)} ${node.shown}: ${node.note ?? look.text}, ${plural(node.transactions, "transaction")}`;
  return (
    <Link to="/entities/$entity/$key" params={{ entity: node.entity, key: node.key }} data-node={node.id}>
      <g transform={`translate(${node.x * ACROSS} ${node.y * DOWN})`}>
        <title>{said}</title>
        <circle r={middle ? 14 : 9} className={look.colour} />
        <text
          className="fill-panel"
          fontSize={middle ? 15 : 11}
          fontWeight="700"
          textAnchor="middle"
          dy={middle ? 5 : 4}
        >
          {look.sign}
        </text>
        {named && <Words node={node} />}
      </g>
    </Link>
  );
}

/** The name of a key over everything that is drawn, where only this one has a name. */
function Name({ node }: { node: Placed }) {
  return (
    <g aria-hidden className="pointer-events-none" transform={`translate(${node.x * ACROSS} ${node.y * DOWN})`}>
      <Words node={node} />
    </g>
  );
}

/** What a key is called, with a margin in the colour of the ground around the letters, so that lines do not cross them. */
function Words({ node }: { node: Placed }) {
  const middle = node.distance === 0;
  const short = node.shown.length > LONGEST ? `${node.shown.slice(0, LONGEST - 1)}…` : node.shown;
  return (
    <g className="stroke-panel" strokeWidth="3" strokeLinejoin="round" textAnchor="middle" paintOrder="stroke">
      <text className="fill-ink" fontSize={middle ? 11 : 9} fontWeight={middle ? 600 : 400} dy={middle ? 27 : 20}>
        {short}
      </text>
      <text className="fill-soft" fontSize="7.5" dy={middle ? 36 : 28}>
        {node.hub ? t("shared by {shared_by}", { shared_by: count(node.shared_by) }) : words(node.entity)}
        {node.lists.length > 0 && t(" · listed")}
      </text>
    </g>
  );
}

/** The keys of a ring in rows: what each is, what became of it, and how many share it. */
export function RingTable({ ring }: { ring: Schemas["EntityRing"] }) {
  return (
    <section
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
      tabIndex={0}
      aria-label={t("Keys of the ring, in rows")}
      className="max-h-72 overflow-auto rounded-md border"
    >
      <table aria-label={t("Keys of the ring")} className="w-full text-left text-xs">
        <thead>
          <tr className="text-soft">
            {[t("Key"), t("Outcome"), t("Transactions"), t("Shared by")].map((name) => (
              <th key={name} scope="col" className="px-3 py-1.5 font-normal">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {ring.nodes.map((node) => (
            <tr key={node.id} className="border-t">
              <th scope="row" className="break-all px-3 py-1.5 font-normal">
                <span className="text-soft">{words(node.entity)}</span>{" "}
                <Link
                  to="/entities/$entity/$key"
                  params={{ entity: node.entity, key: node.key }}
                  className="text-accent underline"
                >
                  {node.shown}
                </Link>
              </th>
              <td className="px-3 py-1.5">
                <span className="inline-flex items-center gap-1">
                  <Sign of={lookOf(node)} /> {lookOf(node).text}
                </span>
              </td>
              <td className="px-3 py-1.5 text-right">{count(node.transactions)}</td>
              <td className="px-3 py-1.5 text-right">{count(node.shared_by)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
