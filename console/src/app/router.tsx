/**
 * Every page and its address, below `/console`, so that no page takes a route of the API. Filters and ranges live in the
 * address; each is read by the page's own `search`.
 */

import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  retainSearchParams,
} from "@tanstack/react-router";
import { BASE } from "~/api/client";
import type { Layout } from "~/ui/layout";
import { Missing } from "./Missing";
import { Shell } from "./Shell";
import { layout, oneOf, RANGES, type Range, text, whole } from "./search";

/** What all pages share: which detector they show (all where none is named) and over which time. */
export interface Shared {
  detector?: string;
  range?: Range;
}

const root = createRootRoute({
  component: Shell,
  notFoundComponent: Missing,
  validateSearch: (search: Record<string, unknown>): Shared => ({
    detector: text(search.detector),
    range: oneOf(RANGES, search.range),
  }),
  search: { middlewares: [retainSearchParams(["detector"])] },
});

const live = createRoute({
  getParentRoute: () => root,
  path: "/",
  component: lazyRouteComponent(() => import("~/screens/live/LivePage"), "LivePage"),
});

const queue = createRoute({
  getParentRoute: () => root,
  path: "/queue",
  validateSearch: (
    search: Record<string, unknown>,
  ): { queue?: string; case?: string; state?: string; order?: string; whose?: string; view?: string } => ({
    queue: text(search.queue),
    case: text(search.case),
    state: text(search.state),
    order: text(search.order),
    whose: text(search.whose),
    view: text(search.view),
  }),
  component: lazyRouteComponent(() => import("~/screens/queue/QueuePage"), "QueuePage"),
});

const transactions = createRoute({
  getParentRoute: () => root,
  path: "/transactions",
  validateSearch: (
    search: Record<string, unknown>,
  ): { decision?: string; entity?: string; key?: string; from?: string; to?: string; rule?: string } & Layout => ({
    ...layout(search),
    decision: text(search.decision),
    entity: text(search.entity),
    key: text(search.key),
    from: text(search.from),
    to: text(search.to),
    rule: text(search.rule),
  }),
  component: lazyRouteComponent(() => import("~/screens/transactions/TransactionsPage"), "TransactionsPage"),
});

const transaction = createRoute({
  getParentRoute: () => root,
  path: "/transactions/$id",
  component: lazyRouteComponent(() => import("~/screens/transactions/TransactionPage"), "TransactionPage"),
});

const entity = createRoute({
  getParentRoute: () => root,
  path: "/entities/$entity/$key",
  component: lazyRouteComponent(() => import("~/screens/entity/EntityPage"), "EntityPage"),
});

const impact = createRoute({
  getParentRoute: () => root,
  path: "/impact",
  component: lazyRouteComponent(() => import("~/screens/impact/ImpactPage"), "ImpactPage"),
});

const rules = createRoute({
  getParentRoute: () => root,
  path: "/rules",
  validateSearch: (
    search: Record<string, unknown>,
  ): { state?: string; tab?: string; find?: string; list?: string; stage?: string } & Layout => ({
    ...layout(search),
    state: text(search.state),
    tab: text(search.tab),
    find: text(search.find),
    list: text(search.list),
    stage: text(search.stage),
  }),
  component: lazyRouteComponent(() => import("~/screens/rules/RulesPage"), "RulesPage"),
});

const newRule = createRoute({
  getParentRoute: () => root,
  path: "/rules/new",
  validateSearch: (search: Record<string, unknown>): { when?: string } => ({ when: text(search.when) }),
  component: lazyRouteComponent(() => import("~/screens/rules/NewRulePage"), "NewRulePage"),
});

const rule = createRoute({
  getParentRoute: () => root,
  path: "/rules/$detectorName/$rule",
  validateSearch: (search: Record<string, unknown>): { edit?: number; before?: number; after?: number } => ({
    edit: whole(search.edit),
    before: whole(search.before),
    after: whole(search.after),
  }),
  component: lazyRouteComponent(() => import("~/screens/rules/RulePage"), "RulePage"),
});

const models = createRoute({
  getParentRoute: () => root,
  path: "/models",
  validateSearch: (search: Record<string, unknown>): { version?: string; trial?: string; tab?: string } => ({
    version: text(search.version),
    trial: text(search.trial),
    tab: text(search.tab),
  }),
  component: lazyRouteComponent(() => import("~/screens/models/ModelsPage"), "ModelsPage"),
});

const features = createRoute({
  getParentRoute: () => root,
  path: "/features",
  validateSearch: (
    search: Record<string, unknown>,
  ): { feature?: string; find?: string; entity?: string; kind?: string; edit?: string } => ({
    feature: text(search.feature),
    find: text(search.find),
    entity: text(search.entity),
    kind: text(search.kind),
    edit: text(search.edit),
  }),
  component: lazyRouteComponent(() => import("~/screens/features/FeaturesPage"), "FeaturesPage"),
});

const attempt = createRoute({
  getParentRoute: () => root,
  path: "/try",
  component: lazyRouteComponent(() => import("~/screens/try/TryPage"), "TryPage"),
});

const operations = createRoute({
  getParentRoute: () => root,
  path: "/operations",
  validateSearch: (
    search: Record<string, unknown>,
  ): {
    tab?: string;
    id?: string;
    state?: string;
    actor?: string;
    action?: string;
    subject?: string;
    from?: string;
    to?: string;
  } => ({
    tab: text(search.tab),
    id: text(search.id),
    state: text(search.state),
    actor: text(search.actor),
    action: text(search.action),
    subject: text(search.subject),
    from: text(search.from),
    to: text(search.to),
  }),
  component: lazyRouteComponent(() => import("~/screens/operations/OperationsPage"), "OperationsPage"),
});

export const router = createRouter({
  routeTree: root.addChildren([
    live,
    queue,
    transactions,
    transaction,
    entity,
    impact,
    rules,
    newRule,
    rule,
    models,
    features,
    attempt,
    operations,
  ]),
  basepath: `${BASE}/console`,
  defaultPreload: "intent",
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
