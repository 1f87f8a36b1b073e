import { Copy } from "lucide-react";
import type { ReactNode } from "react";
import { t } from "~/words/language";
import { Button } from "./Button";
import { sayDone } from "./said";

/** A secret that was just made, with what it is of, until somebody says that they have it: it is shown this once. */
export function Secret({ of, secret, onClose }: { of: ReactNode; secret: string; onClose: () => void }) {
  async function copy() {
    await navigator.clipboard.writeText(secret);
    sayDone(t("The secret is copied."));
  }
  return (
    <div
      role="status"
      className="mx-4 mb-3 flex flex-wrap items-center gap-3 rounded-md border border-approve px-3 py-2"
    >
      <span>
        {of}
        {t(", shown this once:")}
      </span>
      <code className="min-w-0 break-all">{secret}</code>
      <Button onClick={() => void copy()}>
        <Copy aria-hidden size={15} /> {t("Copy")}
      </Button>
      <Button look="quiet" onClick={onClose}>
        {t("I have it")}
      </Button>
    </div>
  );
}
