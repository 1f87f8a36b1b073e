import { expect, it } from "vitest";
import type { Made, MadeVersion } from "./made";
import { stepsOf } from "./steps";

const APPROVER = (right: string) => right === "approve";

function made(...states: MadeVersion["state"][]): Made {
  const versions = states.map((state, place) => ({ state, version: states.length - place }));
  return { name: "night_count", state: states[0], versions } as Made;
}

const names = (feature: Made) => stepsOf(feature, APPROVER).map((step) => step.name);

it("a draft is activated, or put away", () => {
  expect(names(made("draft"))).toEqual(["activate", "archive"]);
});

it("what is being filled can be stopped, and is not activated twice", () => {
  expect(names(made("filling"))).toEqual(["rollback", "archive"]);
  expect(stepsOf(made("filling", "active"), APPROVER)[0]?.about).toMatch(/Version 2 is filled no more/);
});

it("what is archived can be taken up again", () => {
  expect(names(made("archived"))).toEqual(["activate"]);
});

it("whoever writes asks for a draft, and for nothing that is active; whoever only reads looks", () => {
  const author = (right: string) => right === "author";
  expect(stepsOf(made("draft"), author).map((step) => step.name)).toEqual(["request"]);
  expect(stepsOf(made("active"), author)).toEqual([]);
  expect(stepsOf(made("draft"), () => false)).toEqual([]);
});
