import { useQuery } from "@tanstack/react-query";
import { ShieldCheck, ShieldX } from "lucide-react";
import { api, say } from "~/api/client";
import { Asked } from "~/ui/Asked";
import { Button } from "~/ui/Button";
import { Panel } from "~/ui/Panel";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { count, ms, plural } from "~/words/numbers";

/** Whether the chain of entries is whole: gone through once when the page opens, and again on demand. */
export function Verified() {
  const check = useQuery({
    queryKey: ["audit", "verify"],
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnWindowFocus: false,
    queryFn: async () => say(await api.GET("/audit/verify")),
  });
  return (
    <Panel>
      <Asked of={check} height={44}>
        {({ intact, entries, head, misfit, erased, took_ms }) => (
          <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
            <p
              role="status"
              className={`flex items-center gap-2 font-semibold ${intact ? "text-approve" : "text-block"}`}
            >
              {intact ? <ShieldCheck aria-hidden size={20} /> : <ShieldX aria-hidden size={20} />}
              {intact
                ? t("Chain intact")
                : t("Broken at entry {n}: {reason}", {
                    n: count(misfit?.seq),
                    reason: misfit?.reason ?? t("the chain does not fit"),
                  })}
            </p>
            <p className="min-w-0 flex-1 text-soft">
              {t("{entries} in {took_ms}", { entries: plural(entries, "entry", "entries"), took_ms: ms(took_ms) })}
              {erased.length > 0 && t(", details erased on request {n}", { n: plural(erased.length, "time") })}
              {t("; head")}{" "}
              <code className="break-all text-xs" title={head}>
                {head.slice(0, 16)}
              </code>
              , <Time at={check.dataUpdatedAt} />
            </p>
            <Button busy={check.isFetching} onClick={() => void check.refetch()}>
              {t("Verify again")}
            </Button>
          </div>
        )}
      </Asked>
    </Panel>
  );
}
