import { expect, it } from "vitest";
import { changed, expiresAt, valuesOf } from "./entries";

it("takes one value a line, each once, without the spaces around it", () => {
  expect(valuesOf(" D-1\nD-2\r\n\n  D-1 \n")).toEqual(["D-1", "D-2"]);
});

it("an entry without an expiry counts for ever", () => {
  expect([expiresAt(""), expiresAt("7", Date.UTC(2026, 0, 1))]).toEqual([null, "2026-01-08T00:00:00.000Z"]);
});

it("says what was done, and that nothing was where it waits", () => {
  const nothing = { added: 0, replaced: 0, removed: 0, unchanged: 0, request: null };
  expect(changed("vip", { ...nothing, added: 2, unchanged: 1 })).toBe("vip: 2 added, 1 as before.");
  expect(changed("vip", nothing)).toBe("vip: nothing to do.");
  expect(changed("vip", { ...nothing, request: {} })).toMatch(/Nothing has changed yet/);
});
