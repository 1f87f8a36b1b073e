import { describe, expect, it } from "vitest";
import { framed, kilometres, roundBelow } from "./places";

const berlin = { latitude: 52.52, longitude: 13.405 };
const paris = { latitude: 48.857, longitude: 2.352 };

describe("places", () => {
  it("are as far apart as they are", () => {
    expect(kilometres(berlin, paris)).toBeCloseTo(877.5, 0);
    expect(kilometres(berlin, berlin)).toBe(0);
  });

  it("all stand within the frame, north above south and east right of west", () => {
    const { at } = framed([berlin, paris], 400, 200);
    const [one, other] = [at(berlin), at(paris)];
    expect(one.y).toBeLessThan(other.y);
    expect(one.x).toBeGreaterThan(other.x);
    for (const { x, y } of [one, other]) {
      expect(x).toBeGreaterThanOrEqual(27);
      expect(x).toBeLessThanOrEqual(373);
      expect(y).toBeGreaterThanOrEqual(27);
      expect(y).toBeLessThanOrEqual(173);
    }
  });

  it("are drawn the short way across the date line", () => {
    const fiji = { latitude: -17, longitude: 178 };
    const samoa = { latitude: -14, longitude: -172 };
    const { at, kmPerUnit } = framed([fiji, samoa], 400, 200);
    const apart = Math.hypot(at(fiji).x - at(samoa).x, at(fiji).y - at(samoa).y) * kmPerUnit;
    expect(apart / kilometres(fiji, samoa)).toBeCloseTo(1, 1);
  });

  it("of one spot alone stand in the middle", () => {
    expect(framed([berlin], 400, 200).at(berlin)).toEqual({ x: 200, y: 100 });
  });

  it("have a round scale", () => {
    expect([7, 0.4, 230, 1].map(roundBelow)).toEqual([5, 0.2, 200, 1]);
  });
});
