import { expect, it } from "vitest";
import type { Right } from "~/session/session";
import type { Asked } from "./books";
import { details, settling } from "./requests";

const REQUEST = { stage: "pending", author: "ana", asked_by: "ana" } as Asked;
const APPROVER = (right: Right) => right === "approve" || right === "author";
const AUTHOR = (right: Right) => right === "author";

it("whoever wrote it cannot approve it, and is told why", () => {
  expect(settling(REQUEST, "ana", APPROVER)).toEqual({
    approve: false,
    reject: true,
    own: true,
    why: "You wrote it, so another person approves it.",
  });
  expect(settling(REQUEST, "ben", APPROVER)).toMatchObject({ approve: true, reject: true, own: false, why: null });
});

it("an author withdraws what is theirs, and nothing else", () => {
  expect(settling(REQUEST, "ana", AUTHOR)).toMatchObject({ approve: false, reject: true, own: true });
  expect(settling(REQUEST, "eve", AUTHOR)).toMatchObject({ approve: false, reject: false });
});

it("what is settled is settled", () => {
  expect(settling({ ...REQUEST, stage: "approved" }, "ben", APPROVER)).toMatchObject({ approve: false, reject: false });
});

it("says what is asked for in words", () => {
  expect(details({ action: "promote", details: { version: 2 } })).toBe("promote version 2");
  expect(details({ action: "rollout", details: { version: 2, percent: 10, of: "customer_id" } })).toBe(
    "roll out version 2 to 10 % of customer_id",
  );
  expect(details({ action: "remove", details: { values: ["a", "b"] } })).toBe("take 2 values off the list");
});
