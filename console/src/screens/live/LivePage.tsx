import { Page } from "~/ui/Page";

export function LivePage() {
  return <Page title="Live">{null}</Page>;
}
