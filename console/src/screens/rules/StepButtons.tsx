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

/** What can be done with a rule and its next version. */
export function StepButtons({ detector, rule }: Props) {
  const may = useMay(detector);
  const next = nextVersion(rule);
  return (
    <>
      {next && <Buttons detector={detector} rule={rule.name} version={next} steps={stepsOfVersion(next, may)} />}
      <Buttons detector={detector} rule={rule.name} version={null} steps={stepsOfRule(rule, may)} />
    </>
  );
}

/** What can be done with one version, among others. */
export function VersionSteps({ detector, version }: { detector: string; version: RuleVersion }) {
  const steps = stepsOfVersion(version, useMay(detector)).map((step) => ({ ...step, look: "quiet" as const }));
  return <Buttons detector={detector} rule={version.rule} version={version} steps={steps} />;
}

interface ButtonsProps {
  detector: string;
  rule: string;
  version: RuleVersion | null;
  steps: readonly Step[];
}

/** Steps as buttons, each taken after a question. */
function Buttons({ detector, rule, version, steps }: ButtonsProps) {
  const [taking, setTaking] = useState<Step | null>(null);
  return (
    <>
      {steps.map((step) => (
        <Button key={step.name} look={step.look} onClick={() => setTaking(step)}>
          {step.label}
        </Button>
      ))}
      {taking && (
        <StepDialog detector={detector} rule={rule} version={version} step={taking} onClose={() => setTaking(null)} />
      )}
    </>
  );
}
