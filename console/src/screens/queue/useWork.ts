/** What one does with a case, by button or key: hold it, say what it is, and go on with the next at once. */

import { type Dispatch, type SetStateAction, useEffect, useState } from "react";
import type { Schemas } from "~/api/client";
import { told } from "~/ui/Asked";
import { sayDone } from "~/ui/said";
import { useKeys } from "~/ui/useKeys";
import { t } from "~/words/language";
import {
  askOpinion,
  fetchAhead,
  keep,
  note,
  outbox,
  plan,
  release,
  take,
  takeNext,
  undo,
  withdrawOpinion,
} from "./cases";
import { following, moved } from "./order";
import type { Act, Case, Said, Verdict } from "./outbox";
import { mayUndo } from "./told";

export type Asking = "verdict" | "escalate" | "note" | "keys" | "plan" | "opinion";

interface Given {
  all: readonly Case[];
  rows: readonly Case[];
  done: ReadonlySet<string>;
  /** What was said here, newest first. */
  said: readonly Said[];
  /** The case that is looked at, and its id, which is known earlier. */
  here: Case | undefined;
  id: string | undefined;
  me: string;
  mayDecide: boolean;
  queue: string | undefined;
  choose: (id: string | undefined) => void;
  setMarked: Dispatch<SetStateAction<ReadonlySet<string>>>;
}

export interface Work {
  case: Case | undefined;
  mayDecide: boolean;
  asking: Asking | undefined;
  ask: (what: Asking | undefined) => void;
  say: (verdict: Verdict, more?: { reason?: string; note?: string }) => void;
  escalate: (queue: string, note?: string) => void;
  note: (text: string) => void;
  plan: (to: Partial<Schemas["PlanCase"]>) => Promise<void>;
  askOpinion: (asked: Schemas["AskOpinion"]) => Promise<void>;
  withdrawOpinion: () => void;
  undo: () => void;
  take: () => void;
  release: () => void;
  next: () => void;
  mark: (id: string) => void;
}

const AHEAD = 2;

export function useWork({ all, rows, done, said, here, id, me, mayDecide, queue, choose, setMarked }: Given): Work {
  const [asking, ask] = useState<Asking>();
  const ahead = upcoming(rows, id, done, me);
  useEffect(() => fetchAhead(ahead ? ahead.split(" ") : []), [ahead]);

  const doing = (work: () => Promise<Case | undefined>) =>
    outbox.after(async () => {
      try {
        const now = await work();
        if (now) keep(now);
      } catch (error) {
        sayDone(told(error), { bad: true });
      }
    });

  function act(what: Act) {
    if (!here) return;
    const next = following(all, here.id, done, me);
    const holding = here.state === "taken" && here.owner === me;
    outbox.say(here, what, me);
    choose(next);
    setMarked((marked) => without(marked, here.id));
    if (holding && next) doing(() => take(next));
  }

  const work: Work = {
    case: here,
    mayDecide,
    asking,
    ask,
    say: (verdict, more) =>
      act({ kind: "verdict", verdict, ...more, version: here?.verdict ? here.version : undefined }),
    escalate: (to, text) => act({ kind: "escalate", queue: to, note: text }),
    note: (text) => here && doing(() => note(here.id, text)),
    plan: async (to) => here && keep(await plan(here.id, to)),
    askOpinion: async (asked) => here && keep(await askOpinion(here.id, asked)),
    withdrawOpinion: () => here && doing(() => withdrawOpinion(here.id)),
    undo: () => {
      const which = here && mayUndo(here, me) ? here.id : lastDecided(said);
      if (!which) return sayDone(t("There is no verdict of yours to undo."));
      return doing(async () => {
        const now = await undo(which);
        choose(now.id);
        sayDone(t("Verdict undone."));
        return now;
      });
    },
    take: () => here && doing(() => take(here.id)),
    release: () => here && doing(() => release(here.id)),
    next: () =>
      doing(async () => {
        const taken = await takeNext(queue);
        if (taken) choose(taken.id);
        else sayDone(t("Nothing waits here."));
        return taken;
      }),
    mark: (which) => setMarked((marked) => (marked.has(which) ? without(marked, which) : new Set([...marked, which]))),
  };

  const move = (by: 1 | -1) => () => choose(moved(rows, id, by));
  const when = (possible: boolean, action: () => void) => () => possible && action();
  const open = here !== undefined && mayDecide;
  const first = open && here.state !== "decided";
  useKeys({
    j: move(1),
    k: move(-1),
    "?": () => ask("keys"),
    a: when(first, () => work.say("good")),
    b: when(first, () => work.say("fraud")),
    u: when(first, () => work.say("unsure")),
    d: when(open, () => ask("verdict")),
    e: when(first, () => ask("escalate")),
    n: when(open, () => ask("note")),
    t: when(first, work.take),
    r: when(first && here.owner === me, work.release),
    s: when(first, () => ask("plan")),
    o: when(first, () => ask("opinion")),
    z: when(mayDecide, work.undo),
    g: when(mayDecide, work.next),
    x: when(first, () => here && work.mark(here.id)),
  });
  return work;
}

/** The case that got a verdict here last. */
function lastDecided(said: readonly Said[]): string | undefined {
  return said.find((each) => each.act.kind === "verdict" && each.state !== "refused")?.about.id;
}

/** The ids of the next few, as one text, so that an effect sees when they change. */
function upcoming(rows: readonly Case[], id: string | undefined, done: ReadonlySet<string>, me: string): string {
  const ids: string[] = [];
  let at = id;
  for (let n = 0; n < AHEAD; n++) {
    at = following(rows, at, done, me);
    if (at === undefined || ids.includes(at)) break;
    ids.push(at);
  }
  return ids.join(" ");
}

function without(marked: ReadonlySet<string>, id: string): ReadonlySet<string> {
  return new Set([...marked].filter((each) => each !== id));
}
