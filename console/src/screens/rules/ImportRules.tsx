import { Upload } from "lucide-react";
import { fetchJson, type Schemas } from "~/api/client";
import { buttonLook } from "~/ui/Button";
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

  return (
    <label className={buttonLook("plain", "has-focus-visible:outline-2 has-focus-visible:outline-accent")}>
      <Upload aria-hidden size={15} /> Import
      <input
        type="file"
        accept=".ndjson,.json,.jsonl"
        className="sr-only"
        onChange={(event) => {
          const file = event.target.files?.[0];
          event.target.value = "";
          if (file) work.mutate(() => take(file));
        }}
      />
    </label>
  );
}
