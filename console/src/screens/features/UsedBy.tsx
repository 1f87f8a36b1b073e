import { Link } from "@tanstack/react-router";
import type { FeatureDefinition } from "~/api/definition";
import { Badge } from "~/ui/Badge";
import { t } from "~/words/language";

/** Who reads a feature: the models, rules, and features that are derived of it. */
export function UsedBy({ detector, of }: { detector: string; of: FeatureDefinition["used_by"] }) {
  if (!of.models && of.rules.length + of.features.length === 0) return <span className="text-soft">{t("unused")}</span>;
  return (
    <span className="flex max-w-md flex-wrap items-center gap-1 text-xs">
      {of.models && <Badge>{t("models")}</Badge>}
      {of.rules.map((rule) => (
        <Link
          key={`rule ${rule}`}
          to="/rules/$detectorName/$rule"
          params={{ detectorName: detector, rule }}
          className="text-accent hover:underline"
          onClick={(event) => event.stopPropagation()}
        >
          {rule}
        </Link>
      ))}
      {of.features.map((feature) => (
        <Link
          key={`feature ${feature}`}
          from="/features"
          to="/features"
          search={(kept) => ({ ...kept, feature })}
          className="text-soft underline decoration-dotted hover:text-ink"
          onClick={(event) => event.stopPropagation()}
        >
          {feature}
        </Link>
      ))}
    </span>
  );
}
