/** What the command palette offers: pages and actions by their name, then what the service finds. */

import type { Schemas } from "~/api/client";
import { t } from "~/words/language";
import { money, words } from "~/words/numbers";

export type Hit = Schemas["Hit"];

/** One line of the palette. `run` leaves the palette. */
export interface Command {
  id: string;
  group: string;
  title: string;
  about?: string;
  run: () => void;
}

/** Where something that was found is shown. */
export interface Target {
  to: string;
  params?: Record<string, string>;
  search?: Record<string, string>;
}

const GROUPS: Record<Hit["kind"], string> = {
  transaction: "Transactions",
  entity: t("Customers, merchants and other keys"),
  case: "Cases",
  rule: "Rules",
  list: "Lists",
  feature: "Features",
};

export function targetOf(hit: Hit): Target {
  const search = { detector: hit.detector };
  switch (hit.kind) {
    case "transaction":
      return { to: "/transactions/$id", params: { id: hit.id }, search };
    case "entity":
      return { to: "/entities/$entity/$key", params: { entity: hit.entity ?? "", key: hit.id }, search };
    case "case":
      return { to: "/queue", search: { case: hit.id } };
    case "rule":
      return { to: "/rules/$detectorName/$rule", params: { detectorName: hit.detector, rule: hit.id } };
    case "list":
      return { to: "/rules", search: { ...search, tab: "lists", list: hit.id } };
    case "feature":
      return { to: "/features", search: { ...search, feature: hit.id } };
  }
}

/** A hit as a line: what it is called, and what it is about. */
export function lineOf(hit: Hit): { group: string; title: string; about: string } {
  const amount = typeof hit.amount === "number" ? [money(hit.amount, hit.currency)] : [];
  const decision = hit.decision ? [hit.decision.toLowerCase()] : [];
  const what = hit.kind === "entity" ? [words(hit.entity ?? "")] : [];
  const told = hit.kind === "transaction" && hit.title !== hit.id ? [hit.id] : [];
  const about = [...what, ...decision, ...(hit.about ? [hit.about] : []), ...told].join(" · ");
  return { group: GROUPS[hit.kind], title: [...amount, hit.title].join(" "), about };
}

/** Those whose title has every word that was typed; all where nothing was. */
export function matching<T extends { title: string }>(commands: readonly T[], typed: string): T[] {
  const parts = typed.toLowerCase().split(/\s+/).filter(Boolean);
  return commands.filter(({ title }) => parts.every((part) => title.toLowerCase().includes(part)));
}

/** The place after an arrow key, around the ends. */
export function moved(place: number, by: 1 | -1, of: number): number {
  return of === 0 ? 0 : (place + by + of) % of;
}
