import type { ReactNode } from "react";
import { t } from "~/words/language";
import { count, money } from "~/words/numbers";
import type { Tried } from "./draft";
import { good, signed } from "./preview";

/** What it would be worth: fraud, good customers, money, and work for people. */
export function PreviewFigures({ tried, currency }: { tried: Tried; currency: string | null }) {
  const { truth, truth_changed: changed, money: worth, per_day: daily } = tried;
  return (
    <dl aria-label={t("What it would be worth")} className="grid grid-cols-2 gap-x-4 gap-y-3 sm:grid-cols-3">
      <Fact
        name={t("Fraud caught")}
        tone="text-approve"
        about={t("{fraud} decisions change", { fraud: count(changed.fraud) })}
      >
        {count(truth.fraud)}
      </Fact>
      <Fact
        name={t("False positives")}
        tone="text-block"
        about={t("{changed} decisions change", { changed: count(good(changed)) })}
      >
        {count(good(truth))}
      </Fact>
      <Fact name={t("Not yet known")} about={t("labels may still come")}>
        {count(truth.young)}
      </Fact>
      <Fact name={t("Loss caught")} about={t("of known fraud that went through")}>
        {money(worth?.loss_caught, currency)}
      </Fact>
      <Fact
        name={t("Legitimate revenue stopped")}
        about={t("and {undecided_stopped} of unknown", {
          undecided_stopped: money(worth?.undecided_stopped, currency),
        })}
      >
        {money(worth?.good_stopped, currency)}
      </Fact>
      <Fact
        name={t("Reviews a day")}
        about={t("blocks {value}, approvals {value2} a day", {
          value: signed(daily.BLOCK ?? 0),
          value2: signed(daily.APPROVE ?? 0),
        })}
      >
        {signed(daily.REVIEW ?? 0)}
      </Fact>
    </dl>
  );
}

function Fact({ name, about, tone, children }: { name: string; about: string; tone?: string; children: ReactNode }) {
  return (
    <div className="min-w-0">
      <dt className="text-soft text-xs">{name}</dt>
      <dd className={`truncate font-semibold text-xl ${tone ?? ""}`}>{children}</dd>
      <dd className="text-soft text-xs">{about}</dd>
    </div>
  );
}
