/** Findings of drift by what to do about them. */

import type { Schemas } from "~/api/client";

type Finding = Schemas["Finding"];

export interface Group {
  title: string;
  alarm: boolean;
  advice: string;
  because: string;
  findings: Finding[];
}

/** Findings with the same advice together, alarms first, in each group in the order of the report. */
export function byAdvice(findings: readonly Finding[]): Group[] {
  const groups = new Map<string, Group>();
  for (const finding of findings) {
    const { alarm, advice, because } = finding;
    const title = `${alarm ? "alarm" : "notice"}: ${advice}, ${because}`;
    const group = groups.get(title) ?? { title, alarm, advice, because, findings: [] };
    group.findings.push(finding);
    groups.set(title, group);
  }
  return [...groups.values()].sort((one, other) => Number(other.alarm) - Number(one.alarm));
}
