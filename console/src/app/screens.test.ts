import { describe, expect, it } from "vitest";
import { mayLook, SCREENS, screenOf } from "./screens";

describe("screens", () => {
  it("are open to whoever may read, and operations to whoever operates, too", () => {
    const open = (...rights: string[]) =>
      SCREENS.filter((screen) => mayLook((right) => rights.includes(right), screen)).map((screen) => screen.name);
    expect(open("decide")).toEqual([]);
    expect(open("operate")).toEqual(["Operations"]);
    expect(open("read")).toEqual(SCREENS.map((screen) => screen.name));
  });

  it("are found by the path of any of their pages", () => {
    const names = ["/", "/rules/new", "/entities/customer/C1", "/operations", "/nowhere"].map(
      (path) => screenOf(path)?.name,
    );
    expect(names).toEqual(["Live", "Rules", "Transactions", "Operations", undefined]);
  });
});
