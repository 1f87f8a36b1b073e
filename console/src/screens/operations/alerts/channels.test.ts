import { describe, expect, it } from "vitest";
import { type ChannelSetup, type ChannelStatus, settingsIn, targetOf, withStatus } from "./channels";

const soc = { name: "soc", kind: "webhook", severity: "info", state: "active", url: "https://soc.example/x" };
const status = { ...soc, waiting: 2, delivered_at: null, failed_at: null, error: "503" } as unknown as ChannelStatus;

describe("a channel", () => {
  it("has the status of its deliveries while it is active", () => {
    const paused = { ...soc, state: "paused" } as unknown as ChannelSetup;
    const [active, resting] = withStatus([status], [soc as unknown as ChannelSetup, paused]);
    expect([active?.waiting, active?.error, resting?.waiting, resting?.error]).toEqual([2, "503", 0, null]);
    expect(withStatus([status])[0]).toMatchObject({ name: "soc", waiting: 2, setup: undefined });
  });

  it("says where it sends, and no secret", () => {
    expect(targetOf(soc as unknown as ChannelSetup)).toBe("https://soc.example/x");
    expect(targetOf({ ...soc, kind: "slack", url: null } as unknown as ChannelSetup)).toBe(
      "an address that is not shown",
    );
    const mail = { kind: "email", to: ["a@b", "c@d"], host: "smtp.example" } as unknown as ChannelSetup;
    expect(targetOf(mail)).toBe("a@b, c@d by smtp.example");
  });

  it("gets the settings that are filled in", () => {
    const form = new FormData();
    for (const [name, value] of Object.entries({
      severity: "info",
      url: " ",
      to: "a@b, c@d",
      port: "25",
      tls: "none",
    })) {
      form.set(name, value);
    }
    expect(settingsIn(form)).toEqual({ severity: "info", to: ["a@b", "c@d"], port: 25, tls: "none" });
  });
});
