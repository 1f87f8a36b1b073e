import { Download } from "lucide-react";
import { t } from "~/words/language";
import { plural } from "~/words/numbers";
import { Button } from "./Button";
import { csvOfRows, download } from "./csv";

/** Saves the rows that a list has loaded, with every field, as CSV. `label` names the list and the file. */
export function ExportCsv({ label, rows }: { label: string; rows: readonly object[] }) {
  if (rows.length === 0) return null;
  const name = label.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
  return (
    <Button look="quiet" className="print:hidden" onClick={() => download(name, csvOfRows(rows))}>
      <Download aria-hidden size={14} /> {t("Export {n} as CSV", { n: plural(rows.length, "row") })}
      <span className="sr-only"> ({label})</span>
    </Button>
  );
}
