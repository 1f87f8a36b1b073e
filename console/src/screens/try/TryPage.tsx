import { Page } from "~/ui/Page";

export function TryPage() {
  return <Page title="Try">{null}</Page>;
}
