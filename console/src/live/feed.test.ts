// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Feed, type LiveMessage, waitMs } from "./feed";

class Socket {
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: (() => void) | null = null;
  closed = false;
  close() {
    this.closed = true;
    this.onclose?.();
  }
}

const message = { measured_ms: 1, alert_number: 41, decisions: [], alerts: [] } as unknown as LiveMessage;

function scene() {
  const sockets: Socket[] = [];
  const asked: (number | undefined)[] = [];
  const feed = new Feed((alertsSince) => {
    asked.push(alertsSince);
    const socket = new Socket();
    sockets.push(socket);
    return socket as unknown as WebSocket;
  });
  const tell = () => sockets.at(-1)?.onmessage?.({ data: JSON.stringify(message) });
  return { feed, sockets, asked, tell };
}

describe("the live feed", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("opens one socket for all who watch and closes it after the last", () => {
    const { feed, sockets } = scene();
    const stops = [feed.listen(() => {}), feed.listen(() => {})];
    expect(sockets.length).toBe(1);
    stops[0]?.();
    expect(sockets[0]?.closed).toBe(false);
    stops[1]?.();
    expect(sockets[0]?.closed).toBe(true);
    vi.advanceTimersByTime(60_000);
    expect(sockets.length).toBe(1);
  });

  it("comes back after a loss and says so", () => {
    const { feed, sockets, tell } = scene();
    const links: string[] = [];
    feed.watchLink(() => links.push(feed.link));
    feed.listen(() => {});
    tell();
    sockets[0]?.close();
    vi.advanceTimersByTime(500);
    expect(sockets.length).toBe(2);
    tell();
    expect(links).toEqual(["live", "lost", "live"]);
  });

  it("asks for the alerts that it has missed", () => {
    const { feed, sockets, asked, tell } = scene();
    feed.listen(() => {});
    tell();
    sockets[0]?.close();
    vi.advanceTimersByTime(500);
    expect(asked).toEqual([undefined, 41]);
  });

  it("takes a link that says nothing for lost", () => {
    const { feed, sockets, tell } = scene();
    feed.listen(() => {});
    tell();
    vi.advanceTimersByTime(7_000);
    expect(feed.link).toBe("lost");
    expect(sockets[0]?.closed).toBe(true);
    expect(sockets.length).toBe(2);
  });

  it("does not hear what an earlier connection still says", () => {
    const { feed, sockets } = scene();
    const heard: LiveMessage[] = [];
    feed.listen((each) => heard.push(each));
    vi.advanceTimersByTime(7_000);
    expect(sockets.length).toBe(2);
    sockets[0]?.onmessage?.({ data: JSON.stringify(message) });
    expect(heard).toEqual([]);
    expect(feed.link).toBe("lost");
  });

  it("waits longer after each failure, up to a bound, and never the same for all", () => {
    expect([0, 1, 2, 20].map((n) => waitMs(n, 1))).toEqual([500, 1000, 2000, 15_000]);
    expect(waitMs(3, 0)).toBeLessThan(waitMs(3, 0.9));
  });
});
