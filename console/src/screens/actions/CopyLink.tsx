import { Link2 } from "lucide-react";
import { Button } from "~/ui/Button";
import { sayDone } from "~/ui/said";
import { t } from "~/words/language";

/** Copies the address of this page. */
export function CopyLink() {
  const copy = async () => {
    await navigator.clipboard.writeText(location.href);
    sayDone(t("Link copied"));
  };
  return (
    <Button onClick={() => void copy()}>
      <Link2 aria-hidden size={14} /> {t("Copy link")}
    </Button>
  );
}
