/** What is asked about the channels of alerts, and what is changed. */

import { useQuery } from "@tanstack/react-query";
import { api, type Schemas, say } from "~/api/client";
import { queries } from "~/api/queries";
import { part } from "~/ui/FormDialog";
import { t } from "~/words/language";

export type ChannelSetup = Schemas["AlertChannelForm"];
export type ChannelStatus = Schemas["ChannelForm"];
type Change = Partial<Schemas["ChangeAlertChannel"]>;
type Severity = Schemas["NewAlertChannel"]["severity"];

const EVERY_MS = 5_000;

/** The channels and how they are set up; asked only by those who may see it. */
export function useChannels(enabled: boolean) {
  return useQuery({
    queryKey: ["channels"],
    refetchInterval: EVERY_MS,
    enabled,
    queryFn: async () => say(await api.GET("/alerts/channels")),
  });
}

export async function addChannel(body: Schemas["NewAlertChannel"]): Promise<void> {
  changed(say(await api.POST("/alerts/channels", { body })));
}

export async function changeChannel(name: string, body: Change): Promise<void> {
  changed(say(await api.PATCH("/alerts/channels/{name}", { params: { path: { name } }, body })));
}

export async function removeChannel(name: string): Promise<void> {
  changed(say(await api.DELETE("/alerts/channels/{name}", { params: { path: { name } } })));
}

/** Send a sample now; what became of it, in words. */
export async function testChannel(name: string): Promise<string> {
  const { delivered, detail } = say(await api.POST("/alerts/channels/{name}/test", { params: { path: { name } } }));
  return delivered
    ? t("The sample was delivered: {detail}.", { detail })
    : t("The sample was not delivered: {detail}.", { detail });
}

function changed(_answer: unknown): void {
  void queries.invalidateQueries({ queryKey: ["channels"] });
  void queries.invalidateQueries({ queryKey: ["deliveries"] });
}

/** Where a channel sends, as far as it is no secret. */
export function targetOf({ kind, url, to, host }: ChannelSetup): string {
  if (kind === "slack") return t("an address that is not shown");
  return kind === "webhook" ? (url ?? "") : t("{value} by {host}", { value: (to ?? []).join(", "), host });
}

/** The settings in a form; one that is left empty is not given. */
export function settingsIn(given: FormData): Change & { severity: Severity } {
  const texts = ["url", "secret", "host", "user", "password", "from"] as const;
  const to = part(given, "to")?.split(/[\s,;]+/);
  const port = part(given, "port");
  return {
    severity: (part(given, "severity") ?? "warning") as Severity,
    tls: part(given, "tls") as Change["tls"],
    ...Object.fromEntries(texts.flatMap((name) => (part(given, name) ? [[name, part(given, name)]] : []))),
    ...(to && { to }),
    ...(port && { port: Number(port) }),
  };
}

/** Each channel with its status; without the right to see how they are set up, the status alone. */
export function withStatus(statuses: readonly ChannelStatus[], setups?: readonly ChannelSetup[]) {
  const status = new Map(statuses.map((each) => [each.name, each]));
  const none = { waiting: 0, delivered_at: null, failed_at: null, error: null };
  const active = (of: ChannelSetup) => (of.state === "active" ? status.get(of.name) : undefined);
  return setups
    ? setups.map((setup) => ({ ...none, ...active(setup), ...pick(setup), setup }))
    : statuses.map((each) => ({ ...each, setup: undefined }));
}

const pick = ({ name, kind, severity }: ChannelSetup) => ({ name, kind, severity });

export type ChannelRow = ReturnType<typeof withStatus>[number];
