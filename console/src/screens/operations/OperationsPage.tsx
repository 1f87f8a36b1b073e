import { useNavigate, useSearch } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { oneOf } from "~/app/search";
import { type Right, useMay } from "~/session/session";
import { Page } from "~/ui/Page";
import { Tabs } from "~/ui/Tabs";
import { AccessTab } from "./access/AccessTab";
import { AlertsTab } from "./alerts/AlertsTab";
import { AuditTab } from "./audit/AuditTab";
import { HealthTab } from "./HealthTab";
import { QuarantineTab } from "./quarantine/QuarantineTab";
import { ReportsTab } from "./ReportsTab";

interface Part {
  value: string;
  name: string;
  right: Right;
  content: () => ReactNode;
}

const PARTS: readonly Part[] = [
  { value: "health", name: "Health", right: "read", content: () => <HealthTab /> },
  { value: "quarantine", name: "Quarantine", right: "read", content: () => <QuarantineTab /> },
  { value: "alerts", name: "Alerts", right: "read", content: () => <AlertsTab /> },
  { value: "reports", name: "Daily reports", right: "read", content: () => <ReportsTab /> },
  { value: "audit", name: "Audit log", right: "audit", content: () => <AuditTab /> },
  { value: "access", name: "Users and keys", right: "administer", content: () => <AccessTab /> },
];

/** Everything around decisions: how the parts fare, what was refused, who was told, who changed what, who is let in. */
export function OperationsPage() {
  const { tab } = useSearch({ from: "/operations" });
  const may = useMay();
  const navigate = useNavigate();
  const tabs = PARTS.filter((part) => may(part.right));
  const names = tabs.map((part) => part.value);
  return (
    <Page title="Operations">
      <Tabs
        label="Operations"
        tabs={tabs}
        value={oneOf(names, tab) ?? "health"}
        onChange={(value) => void navigate({ to: "/operations", search: ({ detector }) => ({ detector, tab: value }) })}
      />
    </Page>
  );
}
