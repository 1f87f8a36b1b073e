// @vitest-environment jsdom
import { afterEach, describe, expect, it } from "vitest";
import { inFull, moment } from "./times";
import { allZones, chooseZone, instant, localInput, ownZone, timeZone, zone } from "./zones";

afterEach(() => chooseZone(null));

describe("the time zone", () => {
  it("is the browser's until another is chosen, which is remembered", () => {
    expect(timeZone()).toBe(ownZone());
    chooseZone("Asia/Kolkata");
    expect([timeZone(), localStorage.length]).toEqual(["Asia/Kolkata", 1]);
    chooseZone(null);
    expect([timeZone(), localStorage.length]).toEqual([ownZone(), 0]);
  });

  it("is the browser's where what was kept is no zone", () => {
    chooseZone("Mars/Olympus");
    expect(timeZone()).toBe(ownZone());
  });

  it("is that of all times, with its offset at the time", () => {
    chooseZone("America/New_York");
    const now = new Date("2026-07-01T12:00:00Z");
    expect(zone(now)).toBe("America/New_York (UTC-4)");
    expect(zone(new Date("2026-01-01T12:00:00Z"))).toBe("America/New_York (UTC-5)");
    expect(moment("2026-07-01T03:30:00Z", now)).toBe("30 Jun, 23:30");
    expect(moment("2026-07-01T11:30:00Z", now)).toBe("07:30:00");
    expect(inFull("2026-01-01T03:30:00Z")).toBe("31 Dec 2025, 22:30:00");
    chooseZone("UTC");
    expect(zone(now)).toBe("UTC");
  });

  it("can be UTC or any other", () => {
    expect(allZones().filter((each) => each === "UTC")).toHaveLength(1);
    expect(allZones()[0]).toBe("UTC");
    expect(allZones()).toContain("Europe/Berlin");
  });
});

describe("instants in boxes", () => {
  it("come back as they were", () => {
    for (const each of ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns"]) {
      chooseZone(each);
      for (const local of ["2026-11-22T01:30", "2026-07-01T00:00", "2026-03-29T03:30", "2026-10-25T03:30"])
        expect(localInput(instant(local))).toBe(local);
    }
  });

  it("are of the zone that was chosen", () => {
    chooseZone("Europe/Berlin");
    expect(instant("2026-03-29T03:30")).toBe("2026-03-29T01:30:00.000Z");
    expect(instant("2026-01-15T00:30")).toBe("2026-01-14T23:30:00.000Z");
    expect(localInput("2026-07-01T22:05:59Z")).toBe("2026-07-02T00:05");
  });

  it("are nothing where nothing, or nonsense, is said", () => {
    expect([instant(undefined), instant("soon"), localInput(undefined), localInput("soon")]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });
});
