import { Link } from "@tanstack/react-router";
import { Empty } from "~/ui/Asked";
import { Page } from "~/ui/Page";

/** An address that leads nowhere. */
export function Missing() {
  return (
    <Page title="Nothing here">
      <Empty title="There is no page at this address">
        <Link to="/" className="text-accent underline">
          Back to the live page
        </Link>
      </Empty>
    </Page>
  );
}
