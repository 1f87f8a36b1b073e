import { useQuery } from "@tanstack/react-query";
import { ShieldCheck, ShieldX } from "lucide-react";
import { api, say } from "~/api/client";
import { Asked } from "~/ui/Asked";
import { Button } from "~/ui/Button";
import { Panel } from "~/ui/Panel";
import { Time } from "~/ui/Time";
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
                ? "Chain intact"
                : `Broken at entry ${count(misfit?.seq)}: ${misfit?.reason ?? "the chain does not fit"}`}
            </p>
            <p className="min-w-0 flex-1 text-soft">
              {plural(entries, "entry", "entries")} in {ms(took_ms)}
              {erased.length > 0 && `, details erased on request ${plural(erased.length, "time")}`}; head{" "}
              <code className="break-all text-xs" title={head}>
                {head.slice(0, 16)}
              </code>
              , <Time at={check.dataUpdatedAt} />
            </p>
            <Button busy={check.isFetching} onClick={() => void check.refetch()}>
              Verify again
            </Button>
          </div>
        )}
      </Asked>
    </Panel>
  );
}
