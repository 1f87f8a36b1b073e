import { Page } from "~/ui/Page";

export function NewRulePage() {
  return <Page title="NewRule">{null}</Page>;
}
