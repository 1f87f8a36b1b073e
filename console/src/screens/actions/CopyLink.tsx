import { Link2 } from "lucide-react";
import { Button } from "~/ui/Button";
import { sayDone } from "~/ui/said";

/** Copies the address of this page. */
export function CopyLink() {
  const copy = async () => {
    await navigator.clipboard.writeText(location.href);
    sayDone("Link copied");
  };
  return (
    <Button onClick={() => void copy()}>
      <Link2 aria-hidden size={14} /> Copy link
    </Button>
  );
}
