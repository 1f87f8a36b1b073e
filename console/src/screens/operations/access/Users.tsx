import type { ColumnDef } from "@tanstack/react-table";
import { useState } from "react";
import { useMay, useSession } from "~/session/session";
import { Asked, Empty } from "~/ui/Asked";
import { Badge } from "~/ui/Badge";
import { Button } from "~/ui/Button";
import { Panel } from "~/ui/Panel";
import { Table } from "~/ui/Table";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { count, plural, words } from "~/words/numbers";
import { type User, useUsers } from "./access";
import { AddUser, ChangeUser } from "./UserDialogs";

/** People who may sign in, and those who come from elsewhere. */
export function Users() {
  const users = useUsers();
  const open = useSession().data?.open ?? false;
  const administers = useMay()("administer");
  const [asking, ask] = useState<"add" | User>();
  return (
    <Panel
      title={t("Users")}
      flush
      actions={
        administers && (
          <Button look="main" onClick={() => ask("add")}>
            {t("Add a user…")}
          </Button>
        )
      }
    >
      <Asked of={users} height={160}>
        {({ users, elsewhere }) => (
          <>
            <Table
              label={t("Users")}
              exported
              rows={users}
              columns={administers ? [...COLUMNS, changeColumn(ask)] : COLUMNS}
              id={(row) => row.name}
              empty={<Empty title={t("No user yet")} />}
            />
            {Object.keys(elsewhere).length > 0 && (
              <p className="border-t px-4 py-2 text-soft">
                {t("Signed in with an account elsewhere:")}{" "}
                {Object.entries(elsewhere)
                  .map(([name, n]) => `${name} (${plural(n, "session")})`)
                  .join(", ")}
              </p>
            )}
          </>
        )}
      </Asked>
      {asking === "add" && <AddUser first={open} onClose={() => ask(undefined)} />}
      {asking && asking !== "add" && <ChangeUser user={asking} onClose={() => ask(undefined)} />}
    </Panel>
  );
}

const COLUMNS: ColumnDef<User, unknown>[] = [
  {
    header: t("Name"),
    accessorKey: "name",
    cell: ({ row }) => <span className="font-medium">{row.original.name}</span>,
  },
  { header: t("Roles"), accessorKey: "roles", cell: ({ row }) => row.original.roles.map(words).join(", ") },
  {
    header: t("State"),
    accessorKey: "disabled",
    cell: ({ row }) =>
      row.original.disabled ? (
        <span className="whitespace-nowrap">
          <Badge tone="bad">
            {t("disabled since")} <Time at={row.original.disabled_at} />
          </Badge>
        </span>
      ) : (
        <Badge tone="good">{t("Active")}</Badge>
      ),
  },
  {
    header: t("Sessions"),
    accessorKey: "sessions",
    meta: { right: true },
    cell: ({ row }) => count(row.original.sessions),
  },
  { header: t("Added"), accessorKey: "created_at", cell: ({ row }) => <Time at={row.original.created_at} /> },
];

function changeColumn(onChange: (user: User) => void): ColumnDef<User, unknown> {
  return {
    id: "change",
    header: "",
    meta: { right: true },
    cell: ({ row }) => (
      <Button aria-label={t("Change {name}", { name: row.original.name })} onClick={() => onChange(row.original)}>
        {t("Change…")}
      </Button>
    ),
  };
}
