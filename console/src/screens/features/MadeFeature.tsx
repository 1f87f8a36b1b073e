import { Link } from "@tanstack/react-router";
import { LoaderCircle } from "lucide-react";
import { useState } from "react";
import type { useMay } from "~/session/session";
import { Badge } from "~/ui/Badge";
import { Button, buttonLook } from "~/ui/Button";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { words } from "~/words/numbers";
import { inWords } from "./body";
import { FeatureStepDialog } from "./FeatureStepDialog";
import type { Made, MadeVersion } from "./made";
import { type Step, stepsOf } from "./steps";

interface Props {
  detector: string;
  feature: Made;
  may: ReturnType<typeof useMay>;
}

/** One feature that people made: its versions, what history could not give them, and what can be done. */
export function MadeFeature({ detector, feature, may }: Props) {
  const [taking, setTaking] = useState<Step | null>(null);
  return (
    <li className="flex flex-wrap items-start gap-x-4 gap-y-2 px-4 py-3">
      <div className="min-w-0 flex-1 basis-80">
        <p className="flex items-center gap-2 font-medium">
          {feature.name} <FeatureState of={feature.state} />
        </p>
        <ul className="mt-1 flex flex-col gap-2">
          {feature.versions.map((version) => (
            <Version key={version.version} version={version} />
          ))}
        </ul>
      </div>
      <div className="flex flex-wrap gap-2">
        {may("author") && (
          <Link
            from="/features"
            to="/features"
            search={(kept) => ({ ...kept, edit: feature.name })}
            className={buttonLook()}
          >
            {t("New version")}
          </Link>
        )}
        {stepsOf(feature, may).map((step) => (
          <Button key={step.name} look={step.look} onClick={() => setTaking(step)}>
            {step.label}
          </Button>
        ))}
      </div>
      {taking && (
        <FeatureStepDialog detector={detector} feature={feature.name} step={taking} onClose={() => setTaking(null)} />
      )}
    </li>
  );
}

function Version({ version }: { version: MadeVersion }) {
  return (
    <li className="border-l-2 pl-3">
      <p className="flex flex-wrap items-center gap-x-2">
        <span className="text-soft text-xs">{t("version {version}", { version: version.version })}</span>
        <FeatureState of={version.state} />
        <code className="break-words font-mono text-xs">{inWords(version.body)}</code>
      </p>
      <p className="break-words text-soft text-xs">
        {t("written")} <Time at={version.written_at} /> {t("by {author}", { author: version.author })}
        {version.note && `: ${version.note}`}
        {t("; {state} since", { state: version.state })} <Time at={version.since} />{" "}
        {t("by {changed_by}", { changed_by: version.changed_by })}
      </p>
      {version.state === "filling" && (
        <p role="status" className="flex items-center gap-1.5 text-xs">
          <LoaderCircle aria-hidden size={13} className="animate-spin motion-reduce:animate-none" />
          {t("Being filled from the log for")} <Elapsed since={version.since} />
          {t("; decisions go on without it.")}
        </p>
      )}
      {version.history && (
        <p className="break-words text-xs">{t("What history gave: {history}", { history: version.history })}</p>
      )}
      {version.whole_from && (
        <p className="text-xs">
          {t("Its windows are whole from")} <Time at={version.whole_from} form="full" /> {t("on.")}
        </p>
      )}
      {version.trouble && (
        <p className="break-words text-block text-xs">
          {t("Could not be filled: {trouble}", { trouble: version.trouble })}
        </p>
      )}
    </li>
  );
}

/** How long ago, without "ago": while it is asked about every second, this is as new as the answer. */
function Elapsed({ since }: { since: string }) {
  const seconds = Math.max(0, Math.round((Date.now() - new Date(since).getTime()) / 1000));
  return <span className="figure">{seconds} s</span>;
}

const TONES: Record<string, "plain" | "warn" | "good"> = { filling: "warn", active: "good" };

function FeatureState({ of }: { of: Made["state"] }) {
  return <Badge tone={TONES[of] ?? "plain"}>{of === "active" ? t("✓ active") : words(of)}</Badge>;
}
