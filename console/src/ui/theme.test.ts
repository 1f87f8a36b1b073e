// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { choice, choose, start, theme } from "./theme";

describe("the theme", () => {
  let system: { matches: boolean; addEventListener: (name: string, listener: () => void) => void };
  let changed: () => void = () => {};
  beforeEach(() => {
    const heard = (_name: string, listener: () => void) => {
      changed = listener;
    };
    system = { matches: true, addEventListener: heard };
    vi.stubGlobal("matchMedia", () => system);
    localStorage.clear();
    start();
  });
  afterEach(() => vi.unstubAllGlobals());

  it("follows the system until somebody chooses", () => {
    expect([choice(), theme(), document.documentElement.dataset.theme]).toEqual(["system", "dark", "dark"]);
    system.matches = false;
    changed();
    expect(document.documentElement.dataset.theme).toBe("light");
    choose("dark");
    expect([choice(), document.documentElement.dataset.theme]).toEqual(["dark", "dark"]);
  });

  it("is remembered, and forgotten for the system's", () => {
    choose("light");
    expect([localStorage.length, theme()]).toEqual([1, "light"]);
    choose("system");
    expect([localStorage.length, theme()]).toEqual([0, "dark"]);
  });
});
