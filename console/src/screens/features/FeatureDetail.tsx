import { Link } from "@tanstack/react-router";
import { type ReactNode, useEffect, useRef } from "react";
import type { FeatureDefinition } from "~/api/definition";
import { aboutFeature } from "~/screens/rules/scope";
import { t } from "~/words/language";
import { value } from "~/words/numbers";
import { duration } from "~/words/times";
import { UsedBy } from "./UsedBy";

/** One feature in full. */
export function FeatureDetail({ detector, feature }: { detector: string; feature: FeatureDefinition }) {
  const aggregate = feature.kind === "aggregate";
  const place = useRef<HTMLElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another feature is shown in the same place
  useEffect(() => {
    place.current?.scrollIntoView({ block: "nearest" });
  }, [feature.name]);
  return (
    <section ref={place} aria-label={feature.name} className="border-y bg-ground px-4 py-3">
      <h3 className="flex items-center gap-3 font-semibold">
        {feature.name}
        <Link
          from="/features"
          to="/features"
          search={(kept) => ({ ...kept, feature: undefined })}
          resetScroll={false}
          className="font-normal text-accent text-xs hover:underline"
        >
          {t("Close")}
        </Link>
      </h3>
      <pre className="mt-2 whitespace-pre-wrap break-words rounded-md bg-raised p-3 font-mono">
        {aboutFeature(feature)}
      </pre>
      <dl className="mt-3 grid grid-cols-[auto_1fr] gap-x-4 gap-y-1 sm:grid-cols-[auto_1fr_auto_1fr]">
        <Line name={t("Kind")}>{feature.kind}</Line>
        <Line name={t("Type")}>{feature.type}</Line>
        {aggregate && <Line name={t("Entity")}>{feature.entity}</Line>}
        {aggregate && (
          <Line name={t("Window")}>
            {feature.window === "ever" ? t("for ever") : `${feature.window} (${duration(feature.window_s)})`}
            {feature.current === false && t(", without the event itself")}
          </Line>
        )}
        <Line name={t("Usual")}>{value(feature.usual)}</Line>
        <Line name={t("From")}>{feature.made ? t("people, at run time") : t("the detector's file")}</Line>
        <Line name={t("Used by")}>
          <UsedBy detector={detector} of={feature.used_by} />
        </Line>
      </dl>
    </section>
  );
}

function Line({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-soft">{name}</dt>
      <dd className="min-w-0 break-words">{children}</dd>
    </>
  );
}
