import { Link, useSearch } from "@tanstack/react-router";
import { ChevronLeft } from "lucide-react";
import { useDetector } from "~/api/detectors";
import { Waiting } from "~/ui/Asked";
import { Page } from "~/ui/Page";
import { t } from "~/words/language";
import { RuleEditor } from "./RuleEditor";

/** A rule is written, with what it would have done beside it. */
export function NewRulePage() {
  const detector = useDetector();
  const { when } = useSearch({ from: "/rules/new" });
  return (
    <Page
      title={t("New rule")}
      about={
        <Link to="/rules" className="inline-flex items-center text-accent hover:underline">
          <ChevronLeft aria-hidden size={14} /> {t("Rules")}
        </Link>
      }
    >
      {detector ? (
        <RuleEditor key={detector.name} detector={detector.name} from={null} when={when} />
      ) : (
        <Waiting height={500} />
      )}
    </Page>
  );
}
