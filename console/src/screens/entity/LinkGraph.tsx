import { Link } from "@tanstack/react-router";
import { useMemo } from "react";
import type { Schemas } from "~/api/client";
import { count, plural, words } from "~/words/numbers";
import { layout, type Placed, state } from "./layout";

const [WIDTH, HEIGHT] = [620, 460];
/** From the middle to the outermost keys, whose names take room beyond. */
const [ACROSS, DOWN] = [WIDTH / 2 - 30, HEIGHT / 2 - 12];
const LONGEST = 16;

/** How each state looks: a colour of the theme and a sign, so that colour is not the only one. */
const LOOKS = {
  fraud: { colour: "fill-block", sign: "!", text: "known fraud" },
  block: { colour: "fill-block", sign: "×", text: "blocked" },
  review: { colour: "fill-review", sign: "?", text: "to review" },
  approve: { colour: "fill-approve", sign: "✓", text: "approved" },
} as const;

/** Keys that stand in the same transactions, around the one in the middle; each leads to its own page. */
export function LinkGraph({ graph }: { graph: Schemas["LinkGraph"] }) {
  const placed = useMemo(() => layout(graph.nodes, graph.edges), [graph]);
  const at = useMemo(() => new Map(placed.map((node) => [node.id, node])), [placed]);
  const most = Math.max(1, ...graph.edges.map((edge) => edge.transactions));
  return (
    <figure>
      <svg viewBox={`${-WIDTH / 2} ${-HEIGHT / 2} ${WIDTH} ${HEIGHT}`} className="mx-auto w-full max-w-[620px]">
        <title>{`${plural(graph.nodes.length - 1, "key")} linked with ${graph.entity} ${graph.key}`}</title>
        {graph.edges.map((edge) => {
          const [from, to] = [at.get(edge.source), at.get(edge.target)];
          if (!from || !to) return null;
          return (
            <line
              key={`${edge.source} ${edge.target}`}
              x1={from.x * ACROSS}
              y1={from.y * DOWN}
              x2={to.x * ACROSS}
              y2={to.y * DOWN}
              className={edge.fraud || edge.stopped ? "stroke-block" : "stroke-line"}
              strokeWidth={1 + (3 * edge.transactions) / most}
            >
              <title>{`${plural(edge.transactions, "transaction")}, ${count(edge.stopped)} not approved, ${count(edge.fraud)} known fraud`}</title>
            </line>
          );
        })}
        {placed.map((node) => (
          <Key key={node.id} node={node} />
        ))}
      </svg>
      <figcaption className="flex flex-wrap justify-center gap-4 pt-2 text-soft text-xs">
        {Object.values(LOOKS).map((look) => (
          <span key={look.text} className="inline-flex items-center gap-1">
            <svg aria-hidden width="14" height="14" viewBox="-7 -7 14 14">
              <circle r="7" className={look.colour} />
              <text className="fill-panel" fontSize="10" fontWeight="700" textAnchor="middle" dy="3.5">
                {look.sign}
              </text>
            </svg>
            {look.text}
          </span>
        ))}
        {graph.truncated && <span>Showing the first {graph.nodes.length}; there are more.</span>}
      </figcaption>
    </figure>
  );
}

function Key({ node }: { node: Placed }) {
  const look = LOOKS[state(node)];
  const said = `${words(node.entity)} ${node.shown}: ${plural(node.transactions, "transaction")}, ${look.text}`;
  const short = node.shown.length > LONGEST ? `${node.shown.slice(0, LONGEST - 1)}…` : node.shown;
  return (
    <Link to="/entities/$entity/$key" params={{ entity: node.entity, key: node.key }} data-node={node.id}>
      <g transform={`translate(${node.x * ACROSS} ${node.y * DOWN})`}>
        <title>{said}</title>
        <circle r={node.distance === 0 ? 14 : 9} className={look.colour} />
        <text
          className="fill-panel"
          fontSize={node.distance === 0 ? 15 : 11}
          fontWeight="700"
          textAnchor="middle"
          dy={node.distance === 0 ? 5 : 4}
        >
          {look.sign}
        </text>
        <text className="fill-ink" fontSize="9" textAnchor="middle" dy={node.distance === 0 ? 27 : 20}>
          {short}
        </text>
        <text className="fill-soft" fontSize="7.5" textAnchor="middle" dy={node.distance === 0 ? 36 : 28}>
          {words(node.entity)}
          {node.lists.length > 0 && " · listed"}
        </text>
      </g>
    </Link>
  );
}
