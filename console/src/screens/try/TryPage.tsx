import { useDefinition } from "~/api/definition";
import { useDetector } from "~/api/detectors";
import { Asked, Waiting } from "~/ui/Asked";
import { Page } from "~/ui/Page";
import { t } from "~/words/language";
import { TryForm } from "./TryForm";

/** A decision about an event that one makes up: a dry run, unless told otherwise. */
export function TryPage() {
  const detector = useDetector();
  return (
    <Page title={t("Try it")} about={t("Score a test event: the decision and its reasons.")}>
      {detector ? <Chosen key={detector.name} name={detector.name} /> : <Waiting height={400} />}
    </Page>
  );
}

function Chosen({ name }: { name: string }) {
  const definition = useDefinition(name);
  return (
    <Asked of={definition} height={400}>
      {(found) => <TryForm definition={found} />}
    </Asked>
  );
}
