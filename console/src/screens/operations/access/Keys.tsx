import type { ColumnDef } from "@tanstack/react-table";
import { useState } from "react";
import type { Schemas } from "~/api/client";
import { useMay, useSession } from "~/session/session";
import { Asked, Empty } from "~/ui/Asked";
import { Badge } from "~/ui/Badge";
import { Button } from "~/ui/Button";
import { Panel } from "~/ui/Panel";
import { Secret } from "~/ui/Secret";
import { Table } from "~/ui/Table";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { words } from "~/words/numbers";
import { type Key, useKeys } from "./access";
import { AddKey, RevokeKey } from "./KeyDialogs";

/** Keys of programs, without their secrets: each is shown once, when it is made. */
export function Keys() {
  const keys = useKeys();
  const open = useSession().data?.open ?? false;
  const administers = useMay()("administer");
  const [asking, ask] = useState<"add" | Key>();
  const [made, setMade] = useState<Schemas["MadeKey"]>();
  return (
    <Panel
      title={t("Keys")}
      about={t("For programs")}
      flush
      actions={administers && <Button onClick={() => ask("add")}>{t("Create API key…")}</Button>}
    >
      {made && (
        <Secret
          of={
            <>
              {t("The key of")} <b>{made.key.name}</b>
            </>
          }
          secret={made.secret}
          onClose={() => setMade(undefined)}
        />
      )}
      <Asked of={keys} height={160}>
        {({ keys }) => (
          <Table
            label={t("Keys")}
            rows={keys}
            columns={administers ? [...COLUMNS, revokeColumn(ask)] : COLUMNS}
            id={(row) => row.id}
            empty={<Empty title={t("No key yet")}>{t("Use it in the Authorization header.")}</Empty>}
          />
        )}
      </Asked>
      {asking === "add" && <AddKey first={open} onClose={() => ask(undefined)} onMade={setMade} />}
      {asking && asking !== "add" && <RevokeKey of={asking} onClose={() => ask(undefined)} />}
    </Panel>
  );
}

const TONES = { valid: "good", expired: "warn", revoked: "bad" } as const;

const COLUMNS: ColumnDef<Key, unknown>[] = [
  {
    header: t("Name"),
    accessorKey: "name",
    cell: ({ row }) => <span className="font-medium">{row.original.name}</span>,
  },
  { header: t("Prefix"), accessorKey: "id", cell: ({ row }) => <code>{`psk_${row.original.id}`}</code> },
  { header: t("Roles"), accessorKey: "roles", cell: ({ row }) => row.original.roles.map(words).join(", ") },
  {
    header: t("State"),
    accessorKey: "state",
    cell: ({ row }) => (
      <Badge tone={TONES[row.original.state as keyof typeof TONES] ?? "plain"}>{words(row.original.state)}</Badge>
    ),
  },
  { header: t("Made"), accessorKey: "created_at", cell: ({ row }) => <Time at={row.original.created_at} /> },
  { header: t("Last used"), accessorKey: "used_at", cell: ({ row }) => <Time at={row.original.used_at} /> },
  { header: t("Expires"), accessorKey: "expires_at", cell: ({ row }) => <Time at={row.original.expires_at} /> },
];

function revokeColumn(onRevoke: (key: Key) => void): ColumnDef<Key, unknown> {
  return {
    id: "revoke",
    header: "",
    meta: { right: true },
    cell: ({ row }) =>
      row.original.state !== "revoked" && (
        <Button
          look="danger"
          aria-label={t("Revoke {name}", { name: row.original.name })}
          onClick={() => onRevoke(row.original)}
        >
          {t("Revoke…")}
        </Button>
      ),
  };
}
