import { describe, expect, it } from "vitest";
import type { Right } from "~/session/session";
import type { Rule, RuleVersion } from "./books";
import { nextVersion, stepsOfRule, stepsOfVersion } from "./steps";

const AUTHOR = (right: Right) => ["read", "author"].includes(right);
const APPROVER = (right: Right) => ["read", "approve"].includes(right);
const VIEWER = (right: Right) => right === "read";

function version(n: number, state: RuleVersion["state"]): RuleVersion {
  const said = {
    rule: "large",
    when: "amount > 1",
    then: "block",
    reason: null,
    code: "large",
    hard: false,
    override: false,
    rollout: null,
  };
  const written = { author: "ana", written_at: "", since: "", changed_by: "ana", note: "", changed: null };
  return { ...said, ...written, version: n, state };
}

function rule(active: RuleVersion | null, candidate: RuleVersion | null, newest: RuleVersion): Rule {
  const told = { since: "", changed_by: "ana", author: "ana", warnings: [], fires: null, pending: [] };
  return {
    ...told,
    name: "large",
    state: (active ?? candidate ?? newest).state,
    versions: newest.version,
    active,
    candidate,
    newest,
  };
}

const names = (steps: { name: string }[]) => steps.map((step) => step.name);

describe("what can be done", () => {
  it("of a draft: whoever writes rules lets it watch and asks, whoever approves lets it act", () => {
    const draft = version(1, "draft");
    expect(names(stepsOfVersion(draft, AUTHOR))).toEqual(["shadow", "request"]);
    expect(names(stepsOfVersion(draft, APPROVER))).toEqual(["shadow", "rollout", "promote"]);
    expect(stepsOfVersion(draft, VIEWER)).toEqual([]);
  });

  it("of a version that watches: it need not be told to watch again", () => {
    expect(names(stepsOfVersion(version(2, "shadow"), APPROVER))).toEqual(["rollout", "promote"]);
  });

  it("of a version that is rolled out: only who approves may end that", () => {
    const rolledOut = version(2, "rollout");
    expect(names(stepsOfVersion(rolledOut, AUTHOR))).toEqual(["request"]);
    expect(names(stepsOfVersion(rolledOut, APPROVER))).toEqual(["shadow", "rollout", "promote"]);
  });

  it("of what acts already: nothing, but the rule can be paused", () => {
    const active = version(1, "active");
    expect(stepsOfVersion(active, APPROVER)).toEqual([]);
    expect(names(stepsOfRule(rule(active, null, active), APPROVER))).toEqual(["pause", "archive"]);
  });

  it("going back needs something to go back from, or to", () => {
    const [old, tried] = [version(1, "active"), version(2, "rollout")];
    const back = stepsOfRule(rule(old, tried, tried), APPROVER).find((step) => step.name === "rollback");
    expect(back?.about).toBe("Version 2 stops; version 1 goes on for everything.");
    expect(names(stepsOfRule(rule(null, null, version(1, "draft")), APPROVER))).toEqual(["archive"]);
  });

  it("is nothing for whoever only reads", () => {
    expect(stepsOfRule(rule(version(1, "active"), null, version(1, "active")), VIEWER)).toEqual([]);
  });
});

it("the next version is what is tried, else the newest that does not act", () => {
  const active = version(1, "active");
  expect(nextVersion(rule(active, null, active))).toBeNull();
  expect(nextVersion(rule(active, version(2, "shadow"), version(3, "draft")))?.version).toBe(2);
  expect(nextVersion(rule(active, null, version(2, "draft")))?.version).toBe(2);
});
