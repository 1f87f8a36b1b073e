import { Link } from "@tanstack/react-router";
import { Info, type LucideIcon, OctagonAlert, TriangleAlert } from "lucide-react";
import type { Schemas } from "~/api/client";
import { Badge } from "~/ui/Badge";
import { Button } from "~/ui/Button";
import { cx } from "~/ui/styles";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { count, words } from "~/words/numbers";
import type { Alert } from "./alert";

const SEVERITIES: Record<string, { icon: LucideIcon; tone: string }> = {
  critical: { icon: OctagonAlert, tone: "text-block" },
  warning: { icon: TriangleAlert, tone: "text-review" },
  info: { icon: Info, tone: "text-challenge" },
};

const STATUSES = { delivered: "good", waiting: "info", retrying: "warn", failed: "bad" } as const;

interface Props {
  alert: Alert;
  deliveries: readonly Schemas["DeliveryForm"][];
  acknowledged: Schemas["AcknowledgedForm"] | null;
  onAcknowledge?: () => void;
}

/** One alert: how grave, what was seen, whom it reached, who takes care of it. */
export function AlertLine({ alert, deliveries, acknowledged, onAcknowledge }: Props) {
  const look = SEVERITIES[alert.severity] ?? { icon: Info, tone: "text-soft" };
  const Icon = look.icon;
  return (
    <li className="flex flex-wrap items-center gap-x-4 gap-y-1 border-t px-4 py-2">
      <span className={cx("flex w-24 items-center gap-1.5 font-medium", look.tone)}>
        <Icon aria-hidden size={15} /> {words(alert.severity)}
      </span>
      <span className="w-24 text-soft">
        <Time at={alert.at} />
      </span>
      <div className="flex min-w-64 flex-1 flex-wrap items-center gap-x-3 gap-y-1">
        <span className="break-words">
          {alert.transaction ? (
            <Link to="/transactions/$id" params={{ id: alert.transaction }} className="text-accent hover:underline">
              {alert.text}
            </Link>
          ) : (
            alert.text
          )}
          {alert.suppressed > 0 && (
            <span className="text-soft">
              {" "}
              {t("(and {suppressed} more like it)", { suppressed: count(alert.suppressed) })}
            </span>
          )}
        </span>
        <span className="flex flex-wrap items-center gap-1.5">
          <Badge>{words(alert.rule)}</Badge>
          {deliveries.map((delivery) => (
            <Delivered key={delivery.channel} of={delivery} />
          ))}
        </span>
      </div>
      <div className="flex min-h-8 items-center text-xs">
        {acknowledged ? (
          <span className="max-w-56 break-words text-soft">
            {t("Acknowledged by {by},", { by: acknowledged.by })} <Time at={acknowledged.at} />
            {acknowledged.note && `: ${acknowledged.note}`}
          </span>
        ) : (
          onAcknowledge && <Button onClick={onAcknowledge}>{t("Acknowledge…")}</Button>
        )}
      </div>
    </li>
  );
}

function Delivered({ of }: { of: Schemas["DeliveryForm"] }) {
  const tries = of.attempts > 1 ? t(" after {attempts} tries", { attempts: of.attempts }) : "";
  return (
    <span title={of.detail}>
      <Badge tone={STATUSES[of.status as keyof typeof STATUSES] ?? "plain"}>
        {of.channel}: {words(of.status)}
        {tries}
      </Badge>
    </span>
  );
}
