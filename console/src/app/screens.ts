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

export interface Screen {
  path: string;
  name: string;
  icon: LucideIcon;
  right: Right;
}

export const SCREENS: readonly Screen[] = [
  { path: "/", name: "Live", icon: Activity, right: "read" },
  { path: "/queue", name: "Review queue", icon: Inbox, right: "read" },
  { path: "/transactions", name: "Transactions", icon: ScrollText, right: "read" },
  { path: "/impact", name: "Impact", icon: TrendingUp, right: "read" },
  { path: "/rules", name: "Rules", icon: SlidersHorizontal, right: "read" },
  { path: "/models", name: "Models", icon: Gauge, right: "read" },
  { path: "/features", name: "Features", icon: Boxes, right: "read" },
  { path: "/try", name: "Try it", icon: FlaskConical, right: "read" },
  { path: "/operations", name: "Operations", icon: ServerCog, right: "read" },
];

/** Whether somebody may look at a screen: all of them show what only those may see who read. */
export function mayLook(may: (right: Right) => boolean, screen: Screen): boolean {
  return may("read") && may(screen.right);
}

/** The screen that a page belongs to, by its path: "/rules/new" is of the rules, an entity's page of transactions. */
export function screenOf(path: string): Screen | undefined {
  const first = `/${path.split("/")[1] ?? ""}`;
  return SCREENS.find((screen) => screen.path === (first === "/entities" ? "/transactions" : first));
}
