import { Link } from "@tanstack/react-router";
import { Empty } from "~/ui/Asked";
import { Page } from "~/ui/Page";
import { t } from "~/words/language";

/** An address that leads nowhere. */
export function Missing() {
  return (
    <Page title={t("Nothing here")}>
      <Empty title={t("There is no page at this address")}>
        <Link to="/" className="text-accent underline">
          {t("Back to the live page")}
        </Link>
      </Empty>
    </Page>
  );
}
