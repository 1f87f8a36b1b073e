import { Page } from "~/ui/Page";

export function FeaturesPage() {
  return <Page title="Features">{null}</Page>;
}
