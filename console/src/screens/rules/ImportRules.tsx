import { fetchJson, type Schemas } from "~/api/client";
import { FileButton } from "~/ui/FileButton";
import { plural } from "~/words/numbers";
import { useWork } from "./books";

/** Takes exported rules in as drafts. */
export function ImportRules({ detector }: { detector: string }) {
  const work = useWork(detector);

  async function take(file: File): Promise<string> {
    const done = await fetchJson<Schemas["RulesImported"]>(`/detectors/${encodeURIComponent(detector)}/rules/import`, {
      method: "POST",
      headers: { "content-type": "application/x-ndjson" },
      body: await file.text(),
    });
    return done.added.length
      ? `${plural(done.added.length, "draft")} added.`
      : "Everything in it is said here already.";
  }

  return <FileButton name="Import" accept=".ndjson,.json,.jsonl" onChoose={(file) => work.mutate(() => take(file))} />;
}
