import { useLive } from "~/live/useLive";
import { Badge } from "~/ui/Badge";
import { t } from "~/words/language";

/** Detectors that do not decide, and why; nothing where all do. */
export function NotReady() {
  const waiting = Object.entries(useLive()?.ready ?? {}).filter(([, why]) => why !== null);
  if (waiting.length === 0) return null;
  return (
    <ul role="alert" className="rounded-lg border border-review bg-panel px-4 py-3">
      {waiting.map(([name, why]) => (
        <li key={name}>
          <Badge tone="warn">{t("not ready")}</Badge> {name}: {why}
        </li>
      ))}
    </ul>
  );
}
