import { fetchJson, type Schemas } from "~/api/client";
import { FileButton } from "~/ui/FileButton";
import { t } from "~/words/language";
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
      ? t("{n} added.", { n: plural(done.added.length, "draft") })
      : t("Everything in it is said here already.");
  }

  return (
    <FileButton name={t("Import")} accept=".ndjson,.json,.jsonl" onChoose={(file) => work.mutate(() => take(file))} />
  );
}
