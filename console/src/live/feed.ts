/**
 * The live feed: one WebSocket for all that watch, opened when the first one looks and closed after the last.
 *
 * It comes back by itself, waiting longer after each failure. Alerts are numbered by the service; after a pause the feed asks
 * for those it has missed, so none is lost. Decisions are a sample at high rates: the service says how many it left out.
 */

import { BASE, type Schemas } from "~/api/client";
import type { Summary } from "~/api/summaries";

export type Outcome = "APPROVE" | "CHALLENGE" | "REVIEW" | "BLOCK";
export type Link = "connecting" | "live" | "lost";

/** What the service tells twice a second. */
export interface LiveMessage {
  measured_ms: number;
  ready: Record<string, string | null>;
  stats: Schemas["Stats"] | null;
  latency_ms: { p50: number | null; p95: number | null; p99: number | null };
  outcomes: Record<string, Partial<Record<Outcome, number>>>;
  first_block: Summary | null;
  decisions: Summary[];
  alerts: LiveAlert[];
  alert_number: number;
  left_out: { decisions: number; alerts: number };
}

/** Something that was raised; `number` grows, and says where to go on after a pause. */
export interface LiveAlert {
  number: number;
  key: string;
  rule: string;
  detector: string;
  severity: "info" | "warning" | "critical";
  at: string;
  text: string;
  about?: Record<string, unknown>;
  values?: Record<string, unknown>;
  transaction_id?: string | null;
  decision?: string | null;
  fraud_probability?: number | null;
  reasons?: string[];
}

type Listener = (message: LiveMessage) => void;
type LinkListener = () => void;

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const SILENCE_MS = 6_000;

/** How long to wait before the n-th attempt after a loss (from 0): doubling, bounded, spread by `chance` in [0, 1). */
export function waitMs(attempt: number, chance: number): number {
  return Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** attempt) * (0.5 + chance / 2);
}

export class Feed {
  link: Link = "connecting";
  newest: LiveMessage | null = null;

  private readonly listeners = new Set<Listener>();
  private readonly linkListeners = new Set<LinkListener>();
  private socket: WebSocket | null = null;
  private attempt = 0;
  private again: ReturnType<typeof setTimeout> | undefined;
  private silence: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly open: (alertsSince?: number) => WebSocket = (since) => new WebSocket(address(since))) {}

  /** Be told of every message; returns how to stop. */
  listen(listener: Listener): () => void {
    this.listeners.add(listener);
    if (this.listeners.size === 1) this.connect();
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size === 0) this.close();
    };
  }

  /** Be told when the link changes; returns how to stop. */
  watchLink = (listener: LinkListener): (() => void) => {
    this.linkListeners.add(listener);
    return () => this.linkListeners.delete(listener);
  };

  private connect(): void {
    clearTimeout(this.again);
    const socket = this.open(this.newest?.alert_number);
    this.socket = socket;
    this.listenForSilence();
    // What an earlier connection still says is not heard: it would be shown twice, or hold open what nobody watches.
    socket.onmessage = (event) => {
      if (this.socket === socket) this.told(JSON.parse(String(event.data)) as LiveMessage);
    };
    socket.onclose = () => {
      if (this.socket === socket) this.lost();
    };
  }

  private told(message: LiveMessage): void {
    this.attempt = 0;
    this.newest = message;
    this.set("live");
    this.listenForSilence();
    for (const listener of this.listeners) listener(message);
  }

  /** A link that is cut without a goodbye looks open; one that says nothing for a while is taken for lost. */
  private listenForSilence(): void {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => {
      const silent = this.socket;
      this.lost();
      silent?.close();
    }, SILENCE_MS);
  }

  private lost(): void {
    clearTimeout(this.silence);
    this.socket = null;
    this.set("lost");
    this.again = setTimeout(() => this.connect(), waitMs(this.attempt++, Math.random()));
  }

  private close(): void {
    clearTimeout(this.again);
    clearTimeout(this.silence);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    this.link = "connecting";
  }

  private set(link: Link): void {
    if (this.link === link) return;
    this.link = link;
    for (const listener of this.linkListeners) listener();
  }
}

function address(alertsSince?: number): string {
  const socket = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${BASE}/ws/live?decisions=summary`;
  return alertsSince === undefined ? socket : `${socket}&alerts_since=${alertsSince}`;
}

/** The feed of this page. */
export const feed = new Feed();
