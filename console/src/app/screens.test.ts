import { describe, expect, it } from "vitest";
import { screenOf } from "./screens";

describe("screens", () => {
  it("are found by the path of any of their pages", () => {
    const names = ["/", "/rules/new", "/entities/customer/C1", "/operations", "/nowhere"].map(
      (path) => screenOf(path)?.name,
    );
    expect(names).toEqual(["Live", "Rules", "Transactions", "Operations", undefined]);
  });
});
