import type { Schemas } from "~/api/client";
import { TextField } from "~/ui/Field";
import { FormDialog, part } from "~/ui/FormDialog";
import { sayDone } from "~/ui/said";
import { t } from "~/words/language";
import { addKey, type Key, revokeKey } from "./access";
import { RoleBoxes, rolesIn } from "./RoleBoxes";
import { SetupToken } from "./SetupToken";

/** Makes a key; its secret is handed to `onMade`, this once. `first`: of an open service. */
export function AddKey({
  first,
  onClose,
  onMade,
}: {
  first: boolean;
  onClose: () => void;
  onMade: (made: Schemas["MadeKey"]) => void;
}) {
  return (
    <FormDialog
      title={t("Create API key")}
      about={t("Its secret is shown once, and kept nowhere.")}
      action={t("Make it")}
      onClose={onClose}
      onSubmit={async (given) => {
        const days = part(given, "days");
        const key = {
          name: part(given, "name") ?? "",
          roles: rolesIn(given),
          expires_in_days: days === undefined ? null : Number(days),
        };
        onMade(await addKey(key, part(given, "token")));
      }}
    >
      <TextField
        label={t("Name of the program")}
        name="name"
        required
        maxLength={100}
        autoComplete="off"
        autoFocus
        hint={t("Letters, digits and . _ @ + -")}
      />
      <TextField
        label={t("Expires in days")}
        name="days"
        type="number"
        min={1}
        max={36500}
        defaultValue={90}
        hint={t("Empty: never")}
      />
      {first && <SetupToken />}
      <RoleBoxes held={["decider"]} />
    </FormDialog>
  );
}

/** Asks before a key is revoked: whoever shows it is refused from then on. */
export function RevokeKey({ of, onClose }: { of: Key; onClose: () => void }) {
  return (
    <FormDialog
      title={t("Revoke the key of {name}", { name: of.name })}
      about={t("psk_{id} opens nothing any more, at once. That cannot be taken back.", { id: of.id })}
      action={t("Revoke")}
      danger
      onClose={onClose}
      onSubmit={async () => {
        await revokeKey(of.id);
        sayDone(t("The key of {name} is revoked.", { name: of.name }));
      }}
    />
  );
}
