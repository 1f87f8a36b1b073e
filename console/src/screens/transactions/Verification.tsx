import { RefreshCw } from "lucide-react";
import { useVerification } from "~/api/transactions";
import { told } from "~/ui/Asked";
import { Badge } from "~/ui/Badge";
import { Button } from "~/ui/Button";
import { t } from "~/words/language";
import { count, ms, value } from "~/words/numbers";

/** Computes the decision again from the log, on demand, and says whether it comes out the same to the last bit. */
export function Verification({ id, detector }: { id: string; detector: string }) {
  const { mutate, data, error, isPending } = useVerification(id, detector);
  return (
    <div className="flex flex-wrap items-center gap-2">
      <Button
        busy={isPending}
        onClick={() => mutate()}
        title={t("Compute it again from the log and compare to the last bit")}
      >
        <RefreshCw aria-hidden size={14} /> {t("Verify")}
      </Button>
      <span role="status" className="text-xs">
        {isPending && t("computing it again …")}
        {error && <span className="text-block">{told(error)}</span>}
        {data && !isPending && <Result of={data} />}
      </span>
    </div>
  );
}

type Verified = NonNullable<ReturnType<typeof useVerification>["data"]>;

function Result({ of: found }: { of: Verified }) {
  if (found.identical === null)
    return <Badge tone="warn">{t("cannot be verified here, {reason}", { reason: found.reason })}</Badge>;
  const effort =
    found.events === null
      ? ms(found.took_ms)
      : t("{events} events, {took_ms}", { events: count(found.events), took_ms: ms(found.took_ms) });
  if (found.identical) {
    return (
      <>
        <Badge tone="good">{t("verified: identical")}</Badge> <span className="text-soft">{effort}</span>
      </>
    );
  }
  return (
    <>
      <Badge tone="bad">{t("verified: different")}</Badge>{" "}
      {found.differences
        .slice(0, 5)
        .map((each) => `${each.column} ${value(each.recorded)} → ${value(each.recomputed)}`)
        .join("; ")}
    </>
  );
}
