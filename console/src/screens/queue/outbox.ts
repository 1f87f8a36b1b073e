/**
 * What was said about cases and is on its way to the service.
 *
 * The page goes on at once; things are sent one after the other, in the order in which they were said. What is refused, or
 * does not arrive, stays here with the reason until somebody tries it again or drops it: nothing is lost.
 */

import type { Schemas } from "~/api/client";
import { t } from "~/words/language";

export type Case = Schemas["CaseForm"];
export type Verdict = "fraud" | "good" | "unsure";

/** Something that ends the work on a case here: a verdict, or handing it to another queue. */
export type Act =
  | { kind: "verdict"; verdict: Verdict; reason?: string; note?: string; version?: number }
  | { kind: "escalate"; queue: string; note?: string };

export interface Said {
  id: number;
  about: Case;
  act: Act;
  /** Who said it: another who signs in on this page does not see it. */
  by: string;
  state: "sending" | "done" | "refused";
  /** Why it was refused. */
  why?: string;
}

/** Sends one act; the case as it is then. A refusal is thrown, in words. */
export type Send = (about: Case, act: Act) => Promise<Case>;

const KEPT = 500;

export class Outbox {
  /** Newest first. */
  said: readonly Said[] = [];

  private readonly listeners = new Set<() => void>();
  private last: Promise<unknown> = Promise.resolve();
  private next = 1;

  constructor(
    private readonly send: Send,
    private readonly answered: (now: Case, said: Said) => void = () => {},
  ) {}

  /** Be told of every change; returns how to stop. */
  watch = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  list = (): readonly Said[] => this.said;

  /** Say it. What was said before about the same case and refused is replaced. */
  say(about: Case, act: Act, by = ""): void {
    const said: Said = { id: this.next++, about, act, by, state: "sending" };
    const others = this.said.filter((each) => !(each.about.id === about.id && each.state === "refused"));
    this.show([said, ...others]);
    this.after(() => this.deliver(said));
  }

  /** Try again what was refused. */
  again(said: Said): void {
    this.say(said.about, said.act, said.by);
  }

  /** Drop what was refused. */
  drop(said: Said): void {
    this.show(this.said.filter((each) => each.id !== said.id));
  }

  /** Do something after all that was said so far has been answered. */
  after(work: () => Promise<unknown>): void {
    this.last = this.last.then(work, work);
  }

  /** How many are not answered yet. */
  get waiting(): number {
    return this.said.filter((each) => each.state === "sending").length;
  }

  private async deliver(said: Said): Promise<void> {
    try {
      const now = await this.send(said.about, said.act);
      this.change(said.id, { state: "done" });
      this.answered(now, said);
    } catch (error) {
      this.change(said.id, { state: "refused", why: error instanceof Error ? error.message : String(error) });
    }
  }

  private change(id: number, to: Partial<Said>): void {
    this.show(this.said.map((each) => (each.id === id ? { ...each, ...to } : each)));
  }

  private show(list: readonly Said[]): void {
    const kept = list.filter((each, n) => n < KEPT || each.state !== "done");
    this.said = kept;
    for (const listener of this.listeners) listener();
  }
}

/** What one person said. */
export function saidBy(said: readonly Said[], who: string): readonly Said[] {
  return said.filter((each) => each.by === who);
}

/** The cases that are dealt with here, whether or not the service has answered: lists go on without them. */
export function dealtWith(said: readonly Said[]): ReadonlySet<string> {
  return new Set(said.filter((each) => each.state !== "refused").map((each) => each.about.id));
}

/** What was refused, by case. */
export function refusals(said: readonly Said[]): ReadonlyMap<string, Said> {
  return new Map(said.filter((each) => each.state === "refused").map((each) => [each.about.id, each]));
}

/** An act in a word or two. */
export function actInWords(act: Act): string {
  if (act.kind === "escalate") return t("escalated to {queue}", { queue: act.queue });
  return act.reason ? `${act.verdict}: ${act.reason.replaceAll("_", " ")}` : act.verdict;
}
