import type { ReactNode } from "react";
import { count, money } from "~/words/numbers";
import type { Tried } from "./draft";
import { good, signed } from "./preview";

/** What it would be worth: fraud, good customers, money, and work for people. */
export function PreviewFigures({ tried, currency }: { tried: Tried; currency: string | null }) {
  const { truth, truth_changed: changed, money: worth, per_day: daily } = tried;
  return (
    <dl aria-label="What it would be worth" className="grid grid-cols-2 gap-x-4 gap-y-3 sm:grid-cols-3">
      <Fact name="Fraud caught" tone="text-approve" about={`${count(changed.fraud)} decisions change`}>
        {count(truth.fraud)}
      </Fact>
      <Fact name="False positives" tone="text-block" about={`${count(good(changed))} decisions change`}>
        {count(good(truth))}
      </Fact>
      <Fact name="Not yet known" about="labels may still come">
        {count(truth.young)}
      </Fact>
      <Fact name="Loss caught" about="of known fraud that went through">
        {money(worth?.loss_caught, currency)}
      </Fact>
      <Fact name="Legitimate revenue stopped" about={`and ${money(worth?.undecided_stopped, currency)} of unknown`}>
        {money(worth?.good_stopped, currency)}
      </Fact>
      <Fact
        name="Reviews a day"
        about={`blocks ${signed(daily.BLOCK ?? 0)}, approvals ${signed(daily.APPROVE ?? 0)} a day`}
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
