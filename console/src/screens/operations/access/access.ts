/** What is asked about users and keys, and what is changed. */

import { useQuery } from "@tanstack/react-query";
import { api, type Schemas, say } from "~/api/client";
import { queries, SESSION_KEY } from "~/api/queries";
import { t } from "~/words/language";

export type User = Schemas["UserForm"];
export type Key = Schemas["KeyForm"];

/** Every role, and what it is for. */
export const ROLES: readonly { name: string; about: string }[] = [
  { name: "viewer", about: "looks at everything, personal fields hidden" },
  { name: "analyst", about: t("works on cases, says what is fraud, sees personal fields") },
  { name: "rule_author", about: "writes rules, features and lists, tries them on the past and in shadow" },
  { name: "approver", about: t("lets rules and models decide, and takes them back") },
  { name: "administrator", about: t("all of these; users, keys, the audit log, erasure") },
  { name: "decider", about: t("sends transactions: for programs") },
  { name: "labeler", about: t("sends labels and gives verdicts, and works on no cases otherwise: for programs") },
  { name: "operator", about: t("keeps it running: health, quarantine, alerts, deliveries; sees no decisions") },
  { name: "auditor", about: t("looks at everything and the audit log, changes nothing") },
];

export function useUsers() {
  return useQuery({ queryKey: ["users"], queryFn: async () => say(await api.GET("/users")) });
}

export function useKeys() {
  return useQuery({ queryKey: ["keys"], queryFn: async () => say(await api.GET("/keys")) });
}

/** `token`: the setup token, which the first user of an open service needs. */
export async function addUser(user: Schemas["NewUser"], token?: string): Promise<User> {
  return changed(say(await api.POST("/users", { body: user, params: { header: { "X-Setup-Token": token } } })));
}

export async function changeUser(name: string, to: Partial<Schemas["ChangeUser"]>): Promise<User> {
  const body = { roles: null, disabled: null, password: null, ...to };
  return changed(say(await api.PATCH("/users/{name}", { params: { path: { name } }, body })));
}

/** `token`: the setup token, which the first key of an open service needs. */
export async function addKey(key: Schemas["NewKey"], token?: string): Promise<Schemas["MadeKey"]> {
  return changed(say(await api.POST("/keys", { body: key, params: { header: { "X-Setup-Token": token } } })));
}

export async function revokeKey(id: string): Promise<Key> {
  return changed(say(await api.DELETE("/keys/{key_id}", { params: { path: { key_id: id } } })));
}

/** What was shown is asked for again, also who one is: the first user closes the service, and one may change oneself. */
function changed<T>(answer: T): T {
  for (const queryKey of [["users"], ["keys"], ["audit"], SESSION_KEY]) void queries.invalidateQueries({ queryKey });
  return answer;
}
