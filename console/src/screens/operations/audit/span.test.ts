import { describe, expect, it } from "vitest";
import { instant, localInput } from "./span";

describe("instants in boxes", () => {
  it("come back as they were", () => {
    expect(localInput(instant("2026-11-22T01:30"))).toBe("2026-11-22T01:30");
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
