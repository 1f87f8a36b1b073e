import { Page } from "~/ui/Page";

export function OperationsPage() {
  return <Page title="Operations">{null}</Page>;
}
