/** The screens of the console in the order of the menu. To add one: a folder in `screens`, a line here, a route in `router`. */

import {
  Activity,
  Boxes,
  FlaskConical,
  Gauge,
  Inbox,
  type LucideIcon,
  ScrollText,
  ServerCog,
  SlidersHorizontal,
  TrendingUp,
} from "lucide-react";
import type { Right } from "~/session/session";
import { t } from "~/words/language";

export interface Screen {
  path: string;
  name: string;
  icon: LucideIcon;
  /** Whoever has one of these may look. */
  rights: readonly Right[];
}

export const SCREENS: readonly Screen[] = [
  { path: "/", name: t("Live"), icon: Activity, rights: ["read"] },
  { path: "/queue", name: t("Review queue"), icon: Inbox, rights: ["read"] },
  { path: "/transactions", name: t("Transactions"), icon: ScrollText, rights: ["read"] },
  { path: "/impact", name: t("Impact"), icon: TrendingUp, rights: ["read"] },
  { path: "/rules", name: t("Rules"), icon: SlidersHorizontal, rights: ["read"] },
  { path: "/models", name: t("Models"), icon: Gauge, rights: ["read"] },
  { path: "/features", name: t("Features"), icon: Boxes, rights: ["read"] },
  { path: "/try", name: t("Try it"), icon: FlaskConical, rights: ["read"] },
  { path: "/operations", name: t("Operations"), icon: ServerCog, rights: ["read", "operate"] },
];

/** Whether somebody may look at a screen. */
export function mayLook(may: (right: Right) => boolean, screen: Screen): boolean {
  return screen.rights.some(may);
}

/** The screen that a page belongs to, by its path: "/rules/new" is of the rules, an entity's page of transactions. */
export function screenOf(path: string): Screen | undefined {
  const first = `/${path.split("/")[1] ?? ""}`;
  return SCREENS.find((screen) => screen.path === (first === "/entities" ? "/transactions" : first));
}
