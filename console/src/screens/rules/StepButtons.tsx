import { useState } from "react";
import { useMay } from "~/session/session";
import { Button } from "~/ui/Button";
import type { Rule, RuleVersion } from "./books";
import { StepDialog } from "./StepDialog";
import { nextVersion, type Step, stepsOfRule, stepsOfVersion } from "./steps";

interface Props {
  detector: string;
  rule: Rule;
}

interface Taking {
  step: Step;
  version: RuleVersion | null;
}

/** What can be done with a rule and its next version, each after a question. */
export function StepButtons({ detector, rule }: Props) {
  const may = useMay();
  const [taking, setTaking] = useState<Taking | null>(null);
  const next = nextVersion(rule);
  const steps: Taking[] = [
    ...(next ? stepsOfVersion(next, may).map((step) => ({ step, version: next })) : []),
    ...stepsOfRule(rule, may).map((step) => ({ step, version: null })),
  ];
  return (
    <>
      {steps.map((each) => (
        <Button key={each.step.name} look={each.step.look} onClick={() => setTaking(each)}>
          {each.step.label}
        </Button>
      ))}
      {taking && (
        <StepDialog
          detector={detector}
          rule={rule.name}
          version={taking.version?.version ?? null}
          step={taking.step}
          share={taking.version?.rollout}
          onClose={() => setTaking(null)}
        />
      )}
    </>
  );
}
