import { Page } from "~/ui/Page";

export function EntityPage() {
  return <Page title="Entity">{null}</Page>;
}
