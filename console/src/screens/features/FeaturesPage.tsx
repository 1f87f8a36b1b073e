import { getRouteApi, Link } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { useDefinition } from "~/api/definition";
import { useDetector } from "~/api/detectors";
import { useMay } from "~/session/session";
import { Asked, Waiting } from "~/ui/Asked";
import { buttonLook } from "~/ui/Button";
import { Page } from "~/ui/Page";
import { t } from "~/words/language";
import { Entities } from "./Entities";
import { FeatureEditor } from "./FeatureEditor";
import { FeatureList } from "./FeatureList";
import { MadeFeatures } from "./MadeFeatures";
import { StateFigures } from "./StateFigures";

const route = getRouteApi("/features");
const FRESH_MS = 10_000;

/** What is computed of every event: definitions, who reads them, how fresh they are; and features made while it decides. */
export function FeaturesPage() {
  const detector = useDetector();
  const { edit } = route.useSearch();
  const may = useMay(detector?.name);
  const definition = useDefinition(detector?.name, FRESH_MS);
  if (!detector) return <Waiting height={500} />;
  const { name } = detector;
  return (
    <Page
      title={t("Features")}
      about={t("Of {name}: computed once, on arrival, the same live, in replay and in training.", { name })}
      actions={
        may("author") &&
        edit === undefined && (
          <Link
            from="/features"
            to="/features"
            search={(kept) => ({ ...kept, edit: "new" })}
            className={buttonLook("main")}
          >
            <Plus aria-hidden size={16} /> {t("New feature")}
          </Link>
        )
      }
    >
      <Asked of={definition} height={700}>
        {(found) => (
          <>
            {edit !== undefined && <FeatureEditor key={edit} detector={name} definition={found} edit={edit} />}
            <StateFigures definition={found} />
            <MadeFeatures detector={name} />
            <FeatureList detector={name} definition={found} />
            <Entities entities={found.entities} />
          </>
        )}
      </Asked>
    </Page>
  );
}
