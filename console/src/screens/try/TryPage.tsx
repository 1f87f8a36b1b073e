import { useQuery } from "@tanstack/react-query";
import { api, type Schemas, say } from "~/api/client";
import { useDetector } from "~/api/detectors";
import { Asked, Waiting } from "~/ui/Asked";
import { Page } from "~/ui/Page";
import { TryForm } from "./TryForm";

export type Definition = Schemas["DetectorDefinition"];

/** A decision about an event that one makes up: a dry run, unless told otherwise. */
export function TryPage() {
  const detector = useDetector();
  return (
    <Page title="Try it" about="Make up an event and see what would be decided, and why.">
      {detector ? <Chosen key={detector.name} name={detector.name} /> : <Waiting height={400} />}
    </Page>
  );
}

function Chosen({ name }: { name: string }) {
  const definition = useQuery({
    queryKey: ["definition", name],
    queryFn: async () => say(await api.GET("/detectors/{name}/definition", { params: { path: { name } } })),
  });
  return (
    <Asked of={definition} height={400}>
      {(found) => <TryForm definition={found} />}
    </Asked>
  );
}
