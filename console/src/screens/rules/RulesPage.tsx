import { Page } from "~/ui/Page";

export function RulesPage() {
  return <Page title="Rules">{null}</Page>;
}
