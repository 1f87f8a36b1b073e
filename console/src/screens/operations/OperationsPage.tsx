import { useNavigate, useSearch } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { oneOf } from "~/app/search";
import { type Right, useMay } from "~/session/session";
import { Page } from "~/ui/Page";
import { Tabs } from "~/ui/Tabs";
import { t } from "~/words/language";
import { AccessTab } from "./access/AccessTab";
import { AlertsTab } from "./alerts/AlertsTab";
import { AuditTab } from "./audit/AuditTab";
import { HealthTab } from "./HealthTab";
import { QuarantineTab } from "./quarantine/QuarantineTab";
import { ReportsTab } from "./ReportsTab";
import { WebhooksTab } from "./webhooks/WebhooksTab";

interface Part {
  value: string;
  name: string;
  /** Whoever has one of these sees it. */
  rights: readonly Right[];
  content: () => ReactNode;
}

const PARTS: readonly Part[] = [
  { value: "health", name: t("Health"), rights: ["read", "operate"], content: () => <HealthTab /> },
  { value: "quarantine", name: t("Quarantine"), rights: ["read", "operate"], content: () => <QuarantineTab /> },
  { value: "alerts", name: t("Alerts"), rights: ["read", "operate"], content: () => <AlertsTab /> },
  {
    value: "webhooks",
    name: t("Webhooks"),
    rights: ["administer", "operate", "audit"],
    content: () => <WebhooksTab />,
  },
  { value: "reports", name: t("Daily reports"), rights: ["read"], content: () => <ReportsTab /> },
  { value: "audit", name: t("Audit log"), rights: ["administer", "audit"], content: () => <AuditTab /> },
  { value: "access", name: t("Users and keys"), rights: ["administer", "audit"], content: () => <AccessTab /> },
];

/** Everything around decisions: how the parts fare, what was refused, who was told, who changed what, who is let in. */
export function OperationsPage() {
  const { tab } = useSearch({ from: "/operations" });
  const may = useMay();
  const navigate = useNavigate();
  const tabs = PARTS.filter((part) => part.rights.some(may));
  const names = tabs.map((part) => part.value);
  return (
    <Page title={t("Operations")}>
      <Tabs
        label={t("Operations")}
        tabs={tabs}
        value={oneOf(names, tab) ?? "health"}
        onChange={(value) => void navigate({ to: "/operations", search: ({ detector }) => ({ detector, tab: value }) })}
      />
    </Page>
  );
}
