import { Copy } from "lucide-react";
import { useState } from "react";
import { Button } from "~/ui/Button";
import { Panel } from "~/ui/Panel";
import { sayDone } from "~/ui/said";
import { t } from "~/words/language";

/** The recorded decision and its event as JSON, to read and to copy. */
export function RawPanel({ of: found, title }: { of: unknown; title: string }) {
  const [open, setOpen] = useState(false);
  const text = JSON.stringify(found, null, 2);
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => sayDone(t("Copied")),
      () => sayDone(t("The browser does not let this page copy; select the text instead"), { bad: true }),
    );
  return (
    <Panel
      title={title}
      actions={
        <>
          <Button look="quiet" aria-expanded={open} onClick={() => setOpen(!open)}>
            {open ? t("Hide") : t("Show")}
          </Button>
          <Button look="quiet" onClick={() => void copy()}>
            <Copy aria-hidden size={14} /> {t("Copy")}
          </Button>
        </>
      }
    >
      {open && (
        <pre
          // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard
          tabIndex={0}
          className="max-h-96 overflow-auto rounded-md bg-ground p-3 text-xs"
        >
          {text}
        </pre>
      )}
    </Panel>
  );
}
