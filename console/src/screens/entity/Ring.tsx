import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { FilePlus2, ListPlus, Scale } from "lucide-react";
import { useState } from "react";
import { api, type Schemas, say } from "~/api/client";
import { useDefinition } from "~/api/definition";
import { useMay } from "~/session/session";
import { Asked, Empty } from "~/ui/Asked";
import { Button, buttonLook } from "~/ui/Button";
import { t } from "~/words/language";
import { count, keyParts, plural, words } from "~/words/numbers";
import { AddToList } from "../actions/AddToList";
import { isOneOf } from "../actions/ruleFrom";
import { SweepDialog } from "../queue/SweepDialog";
import { RingPicture, RingTable } from "./RingPicture";

export interface Subject {
  entity: string;
  key: string;
  detector: string | undefined;
}

const LIMIT = 40;

/** The ring of a key. over: the entities whose keys may be shared; all unless given. */
export function useRing({ entity, key, detector }: Subject, over?: readonly string[]) {
  const query = { detector, limit: LIMIT, over: over && [...over] };
  return useQuery({
    queryKey: ["ring", entity, key, detector, over],
    queryFn: async () =>
      say(await api.GET("/entities/{entity}/{key}/ring", { params: { path: { entity, key }, query } })),
  });
}

/** What a key is linked with through what few share: picture and table, what to follow, and what one can do about it. */
export function RingView({ subject }: { subject: Subject }) {
  const kinds = useRing(subject).data?.over ?? [];
  const [left, setLeft] = useState<readonly string[]>([]);
  const over = left.length > 0 ? kinds.filter((kind) => !left.includes(kind)) : undefined;
  const ring = useRing(subject, over);
  return (
    <div className="flex flex-col gap-3">
      {kinds.length > 1 && (
        <fieldset className="flex flex-wrap gap-x-4 gap-y-1 text-xs">
          <legend className="sr-only">{t("Linked over")}</legend>
          <span aria-hidden className="text-soft">
            {t("Linked over")}
          </span>
          {kinds.map((kind) => {
            const followed = !left.includes(kind);
            return (
              <label key={kind} className="inline-flex items-center gap-1">
                <input
                  type="checkbox"
                  checked={followed}
                  disabled={followed && left.length === kinds.length - 1}
                  onChange={() => setLeft(followed ? [...left, kind] : left.filter((each) => each !== kind))}
                />
                {words(kind)}
              </label>
            );
          })}
        </fieldset>
      )}
      <Asked
        of={ring}
        height={420}
        empty={(found) =>
          found.nodes.length < 2 && (
            <Empty
              title={
                found.nodes.length === 0
                  ? t("No recent transaction is about it")
                  : t("Nothing shares a transaction with it")
              }
            />
          )
        }
      >
        {(found) => (
          <>
            <Summary ring={found} />
            <RingPicture ring={found} />
            <RingTable ring={found} />
            <Actions ring={found} />
          </>
        )}
      </Asked>
    </div>
  );
}

function Summary({ ring }: { ring: Schemas["EntityRing"] }) {
  const members = ring.nodes.filter((node) => node.member && !node.hub);
  const frauds = members.filter((node) => node.outcome === "known_fraud").length;
  const hubs = ring.nodes.filter((node) => node.hub);
  return (
    <p className="text-xs">
      {t("{n}, {frauds} with known fraud.", { n: plural(members.length, "member"), frauds: count(frauds) })}{" "}
      {hubs.length > 0 && t("{n}, shared by more than 20: not followed. ", { n: plural(hubs.length, "hub") })}
      {ring.truncated && t("Showing the first {n} keys; there are more.", { n: count(ring.nodes.length) })}
    </p>
  );
}

/** A verdict on undecided cases, lists and a rule from the members of a ring. */
function Actions({ ring }: { ring: Schemas["EntityRing"] }) {
  const may = useMay(ring.detector);
  const [dialog, setDialog] = useState<"verdict" | "list">();
  const definition = useDefinition(ring.detector).data;
  const fields = definition?.entities.find((each) => each.name === ring.entity)?.fields ?? [];
  const [field] = fields[0] ?? [];
  const isText = definition?.fields.find((each) => each.name === field)?.type === "text";
  const members = ring.nodes.filter((node) => node.member && !node.hub).map((node) => node.key);
  const single = fields[0]?.length === 1;
  const from = t("the ring of {entity} {key}", { entity: ring.entity, key: ring.key });
  return (
    <div className="flex flex-wrap gap-2">
      {may("label") && ring.undecided_cases.length > 0 && (
        <Button onClick={() => setDialog("verdict")}>
          <Scale aria-hidden size={14} /> {t("Verdict on")} {plural(ring.undecided_cases.length, "undecided case")}…
        </Button>
      )}
      {may("author") && single && (
        <Button onClick={() => setDialog("list")}>
          <ListPlus aria-hidden size={14} /> {t("Add keys to list…")}
        </Button>
      )}
      {may("author") && single && field && (
        <Link
          to="/rules/new"
          search={{ detector: ring.detector, when: isOneOf(field, isText ? members : members.map(Number)) }}
          className={buttonLook()}
        >
          <FilePlus2 aria-hidden size={14} /> {t("Write a rule from the ring…")}
        </Link>
      )}
      {dialog === "verdict" && (
        <SweepDialog
          title={t("Undecided cases in the ring of {entity} {key}", {
            entity: words(ring.entity),
            key: keyParts(ring.key),
          })}
          meant={{ ids: ring.undecided_cases }}
          onClose={() => setDialog(undefined)}
        />
      )}
      {dialog === "list" && (
        <AddToList
          detector={ring.detector}
          values={members.map((value) => ({ name: ring.entity, value }))}
          together
          reason={from}
          onClose={() => setDialog(undefined)}
        />
      )}
    </div>
  );
}
