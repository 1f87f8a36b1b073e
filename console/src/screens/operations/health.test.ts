import { describe, expect, it } from "vitest";
import type { Schemas } from "~/api/client";
import { grouped } from "./health";

const part = (name: string, detector: string | null, status = "ok") =>
  ({ name, detector, status }) as Schemas["PartForm"];

describe("health", () => {
  it("shows the parts of each detector and of the service, what fares worst first", () => {
    const found = grouped([
      part("state", "banking"),
      part("queue", "banking", "failed"),
      part("archive", null, "absent"),
      part("alerts", null, "degraded"),
    ]);
    expect(found.map(({ name, parts }) => [name, parts.map((each) => each.name)])).toEqual([
      ["banking", ["queue", "state"]],
      ["Service", ["alerts", "archive"]],
    ]);
  });
});
