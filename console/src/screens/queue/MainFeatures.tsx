import { useFeatures } from "~/api/detectors";
import { t } from "~/words/language";
import { quantity, value, words } from "~/words/numbers";
import type { Detail } from "./cases";

const SHOWN = 8;

/** What moved the score most: the value, and how far it pushed towards fraud (to the right) or away from it. */
export function MainFeatures({ decision }: { decision: Detail["decision"] }) {
  const features = useFeatures(decision?.detector);
  const all = decision?.explanation.contributions ?? [];
  if (all.length === 0) return null;
  const shown = [...all].sort((a, b) => Math.abs(b.contribution) - Math.abs(a.contribution)).slice(0, SHOWN);
  const most = Math.abs(shown[0]?.contribution ?? 1) || 1;
  return (
    <section aria-label={t("Main features")} className="flex min-w-0 flex-col gap-2">
      <h3 className="font-semibold">{t("Main features")}</h3>
      <table aria-label={t("What moved the score most")} className="w-full">
        <thead className="sr-only">
          <tr>
            <th>{t("Feature")}</th>
            <th>{t("Value")}</th>
            <th>{t("Push")}</th>
          </tr>
        </thead>
        <tbody>
          {shown.map(({ feature, value: found, contribution }) => (
            <tr key={feature}>
              <td className="w-1/2 py-0.5 pr-2 leading-tight" title={`${feature} = ${value(found)}`}>
                {features.get(feature)?.label ?? words(feature)}
              </td>
              <td className="w-16 py-0.5 pr-2 text-right">{quantity(found, features.get(feature)?.unit)}</td>
              <td className="w-[32%] py-0.5">
                <Push of={contribution} most={most} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Push({ of, most }: { of: number; most: number }) {
  const width = `${(50 * Math.abs(of)) / most}%`;
  const up = of > 0;
  return (
    <span className="flex items-center gap-2">
      <span aria-hidden className="relative h-3 min-w-0 flex-1 rounded-sm bg-raised">
        <span className="absolute inset-y-0 left-1/2 w-px bg-line" />
        <span
          className={`absolute inset-y-0 rounded-sm ${up ? "left-1/2 bg-block" : "right-1/2 bg-approve"}`}
          style={{ width }}
        />
      </span>
      <span className="figure w-14 text-right text-xs">
        {up ? "+" : "−"}
        {Math.abs(of).toFixed(2)}
        <span className="sr-only">{up ? t(", towards fraud") : t(", away from fraud")}</span>
      </span>
    </span>
  );
}
