/** What is asked of the service about cases, and what is sent to it. */

import { type InfiniteData, keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import { api, type Schemas, say } from "~/api/client";
import { queries, SESSION_KEY } from "~/api/queries";
import type { Session } from "~/session/session";
import { Answered, withCase } from "./order";
import { type Act, type Case, Outbox, type Said, type Verdict } from "./outbox";
import { refusal } from "./told";

export const STATES = ["undecided", "open", "taken", "escalated", "decided"] as const;
export type State = (typeof STATES)[number];

export const ORDERS = ["expected_loss", "priority", "due", "oldest", "newest"] as const;
export type Order = (typeof ORDERS)[number];

/** Whose cases a list shows: everybody's, those assigned to oneself, those whose notes mention one, or overdue ones. */
export const WHOSE = ["all", "mine", "mentions", "overdue"] as const;
export type Whose = (typeof WHOSE)[number];

/** Which cases a list shows. */
export interface Chosen {
  queue?: string;
  state: State;
  detector?: string;
  order: Order;
  whose: Whose;
}

export type Detail = Schemas["CaseDetail"];
export type Link = Schemas["LinkForm"];

/** What was answered here; a list that was asked for earlier and comes later does not undo it. */
const answered = new Answered();

const FRESH_MS = 5_000;
const PAGE = 50;

/** The queues, as they are now, and the reasons that verdicts may have. */
export function useQueues() {
  return useQuery({
    queryKey: ["queues"],
    refetchInterval: FRESH_MS,
    queryFn: async () => say(await api.GET("/cases/queues")),
  });
}

/** A list of cases, page after page, as it is now. */
export function useCases({ queue, state, detector, order, whose }: Chosen, me: string) {
  return useInfiniteQuery({
    queryKey: ["cases", { queue, state, detector, order, whose, me }],
    refetchInterval: FRESH_MS,
    placeholderData: keepPreviousData,
    initialPageParam: undefined as string | undefined,
    queryFn: async ({ pageParam }) => {
      const query = { queue, state, detector, order, limit: PAGE, before: pageParam, ...filterOf(whose, me) };
      const page = say(await api.GET("/cases", { params: { query } }));
      return { ...page, cases: page.cases.map((row) => answered.newest(row)) };
    },
    getNextPageParam: (page) => page.next ?? undefined,
  });
}

/** The part of a filter that says whose cases are meant. */
export function filterOf(whose: Whose, me: string): { assignee?: string; mentioned?: string; overdue?: boolean } {
  if (whose === "mine") return { assignee: me };
  if (whose === "mentions") return { mentioned: me };
  return whose === "overdue" ? { overdue: true } : {};
}

function detailQuery(id: string) {
  return {
    queryKey: ["case", id],
    queryFn: async () => {
      const detail = say(await api.GET("/cases/{case_id}", { params: { path: { case_id: id } } }));
      return { ...detail, case: answered.newest(detail.case) };
    },
  };
}

/** One case with everything around it. */
export function useCase(id: string | undefined) {
  return useQuery({ ...detailQuery(id ?? ""), enabled: id !== undefined });
}

/** Fetch cases before somebody looks at them, so that the next one is there at once. */
export function fetchAhead(ids: readonly string[]): void {
  for (const id of ids) void queries.prefetchQuery(detailQuery(id));
}

/** Put a case as it is now into everything that shows it. */
export function keep(now: Case): void {
  answered.put(now);
  queries.setQueriesData<InfiniteData<Schemas["CaseList"]>>({ queryKey: ["cases"] }, (lists) =>
    lists && "pages" in lists
      ? { ...lists, pages: lists.pages.map((page) => ({ ...page, cases: withCase(page.cases, now) })) }
      : lists,
  );
  queries.setQueryData<Detail>(["case", now.id], (known) => known && { ...known, case: now });
  void queries.invalidateQueries({ queryKey: ["case", now.id] });
  void queries.invalidateQueries({ queryKey: ["queues"] });
}

/** Hold a case, or hold it for longer. */
export async function take(id: string): Promise<Case> {
  return worded(id, async () => say(await api.POST("/cases/{case_id}/take", at(id))));
}

/** Take the case with the most at stake that nobody holds; undefined where nothing waits. */
export async function takeNext(queue: string | undefined): Promise<Case | undefined> {
  const answer = await api.POST("/cases/next", { body: { queue: queue ?? null } });
  return answer.response.status === 204 ? undefined : (say(answer) as Case);
}

/** Give a case back. */
export async function release(id: string): Promise<Case> {
  return worded(id, async () => say(await api.POST("/cases/{case_id}/release", at(id))));
}

/** Write something down. */
export async function note(id: string, text: string): Promise<Case> {
  return worded(id, async () => say(await api.POST("/cases/{case_id}/note", { ...at(id), body: { text } })));
}

/** Set within how many minutes cases that come into a queue are due; null: never. */
export async function setDue(queue: string, due_minutes: number | null): Promise<void> {
  say(await api.PUT("/cases/queues/{queue}", { params: { path: { queue } }, body: { due_minutes } }));
  await queries.invalidateQueries({ queryKey: ["queues"] });
}

/** Which cases a verdict over many means. */
export type Meant = { ids: string[] } | { filter: Partial<Schemas["Filter"]> };

/** One verdict over many cases; a dry run says what it would touch. */
export async function sweep(
  meant: Meant,
  verdict: Verdict,
  { reason, note, dry_run, expect }: { reason?: string; note?: string; dry_run: boolean; expect?: number },
): Promise<Schemas["VerdictsAnswer"]> {
  const ids = "ids" in meant ? meant.ids : null;
  const filter = "filter" in meant ? { ...ANY, ...meant.filter } : null;
  const body = { ids, filter, verdict, reason: reason ?? null, note: note ?? null, dry_run, expect: expect ?? null };
  return say(await api.POST("/cases/verdicts", { body }));
}

const ANY: Schemas["Filter"] = {
  queue: null,
  state: null,
  detector: null,
  owner: null,
  entity: null,
  key: null,
  assignee: null,
  tag: null,
  priority: null,
  mentioned: null,
  overdue: null,
};

/** Who may be assigned a case or asked for a second opinion, as far as the service knows. */
export function useColleagues() {
  return useQuery({ queryKey: ["colleagues"], queryFn: async () => say(await api.GET("/cases/colleagues")) });
}

/** Change who decides a case, until when, in which order, and its tags. */
export async function plan(id: string, to: Partial<Schemas["PlanCase"]>): Promise<Case> {
  const body = { note: null, ...to };
  return worded(id, async () => say(await api.PATCH("/cases/{case_id}", { ...at(id), body })));
}

/** Ask a colleague or a role to decide a case. */
export async function askOpinion(id: string, body: Schemas["AskOpinion"]): Promise<Case> {
  return worded(id, async () => say(await api.POST("/cases/{case_id}/opinion", { ...at(id), body })));
}

/** Withdraw one's request for a second opinion. */
export async function withdrawOpinion(id: string): Promise<Case> {
  return worded(id, async () => say(await api.DELETE("/cases/{case_id}/opinion", at(id))));
}

/** Take back one's own last verdict; what was said about the case here no longer hides it from lists. */
export async function undo(id: string): Promise<Case> {
  const now = await worded(id, async () => say(await api.POST("/cases/{case_id}/undo", at(id))));
  for (const said of outbox.said) if (said.about.id === id && said.state === "done") outbox.drop(said);
  void queries.invalidateQueries({ queryKey: ["cases"] });
  return now;
}

/** A verdict on one transaction of a case. */
export async function judge(id: string, transaction: string, verdict: Verdict, version?: number): Promise<Case> {
  const body = { verdict, reason: null, note: null, version: version ?? null, transactions: [transaction], seen: null };
  return worded(id, async () => say(await api.POST("/cases/{case_id}/verdict", { ...at(id), body })));
}

/** Ask for everything about cases again. */
export function lookAgain(): void {
  for (const queryKey of [["cases"], ["case"], ["queues"], ["analysts"]]) void queries.invalidateQueries({ queryKey });
}

async function send(about: Case, act: Act): Promise<Case> {
  return worded(about.id, async () => {
    if (act.kind === "escalate") {
      const { queue, note = null } = act;
      return say(await api.POST("/cases/{case_id}/escalate", { ...at(about.id), body: { queue, note } }));
    }
    const { verdict, reason = null, note = null, version = null } = act;
    const body = { verdict, reason, note, version, transactions: null, seen: about.transactions };
    return say(await api.POST("/cases/{case_id}/verdict", { ...at(about.id), body }));
  });
}

/** Does it; where it is refused, the error says in words who was first. */
async function worded(id: string, work: () => Promise<Case>): Promise<Case> {
  try {
    return await work();
  } catch (error) {
    const now = await queries.fetchQuery({ ...detailQuery(id), staleTime: 0 }).catch(() => undefined);
    if (now) keep(now.case);
    throw new Error(refusal(error, now?.case, queries.getQueryData<Session>(SESSION_KEY)?.name ?? ""));
  }
}

function at(id: string) {
  return { params: { path: { case_id: id } } };
}

/** What was said here; it outlives the page, so that nothing that is on its way is lost by looking elsewhere. */
export const outbox = new Outbox(send, keep);

/** What was said here, newest first. */
export function useSaid(): readonly Said[] {
  return useSyncExternalStore(outbox.watch, outbox.list);
}
