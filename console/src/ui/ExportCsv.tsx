import { Download } from "lucide-react";
import { plural } from "~/words/numbers";
import { Button } from "./Button";
import { csvOfRows, download } from "./csv";

/** Saves the rows that a list has loaded, with every field, as CSV. `label` names the list and the file. */
export function ExportCsv({ label, rows }: { label: string; rows: readonly object[] }) {
  if (rows.length === 0) return null;
  const name = label.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
  return (
    <Button look="quiet" className="print:hidden" onClick={() => download(name, csvOfRows(rows))}>
      <Download aria-hidden size={14} /> Export {plural(rows.length, "row")} as CSV
      <span className="sr-only"> ({label})</span>
    </Button>
  );
}
