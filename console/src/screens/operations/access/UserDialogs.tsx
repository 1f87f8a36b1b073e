import { TextField } from "~/ui/Field";
import { FormDialog, part } from "~/ui/FormDialog";
import { sayDone } from "~/ui/said";
import { t } from "~/words/language";
import { addUser, changeUser, type User } from "./access";
import { RoleBoxes, rolesIn } from "./RoleBoxes";
import { SetupToken } from "./SetupToken";

const LEAST = 12;

/** Adds somebody who may sign in; `first`: the one who closes an open service. */
export function AddUser({ first, onClose }: { first: boolean; onClose: () => void }) {
  return (
    <FormDialog
      title={t("Add a user")}
      about={
        first ? t("The first user is an administrator. After this you sign in with this name and password.") : undefined
      }
      action={t("Add")}
      onClose={onClose}
      onSubmit={async (given) => {
        const name = part(given, "name") ?? "";
        const user = { name, password: String(given.get("password")), roles: rolesIn(given) };
        await addUser(user, part(given, "token"));
        sayDone(t("{name} may sign in now.", { name }));
      }}
    >
      <TextField
        label={t("Name")}
        name="name"
        required
        maxLength={100}
        autoComplete="off"
        autoFocus
        hint={t("Letters, digits and . _ @ + -")}
      />
      <TextField
        label={t("Password")}
        name="password"
        type="password"
        required
        minLength={LEAST}
        maxLength={1024}
        autoComplete="new-password"
        hint={t("At least {value} letters", { value: LEAST })}
      />
      {first && <SetupToken />}
      <RoleBoxes held={first ? ["administrator"] : ["viewer"]} />
    </FormDialog>
  );
}

/** Changes roles or password, or disables a user: all that is said, or nothing. */
export function ChangeUser({ user, onClose }: { user: User; onClose: () => void }) {
  return (
    <FormDialog
      title={t("Change {name}", { name: user.name })}
      about={t("A new password, or disabling the user, ends all sessions.")}
      action={t("Change")}
      onClose={onClose}
      onSubmit={async (given) => {
        const password = String(given.get("password") ?? "");
        await changeUser(user.name, {
          roles: rolesIn(given),
          disabled: given.get("disabled") === "on",
          password: password || null,
        });
        sayDone(t("{name} is changed.", { name: user.name }));
      }}
    >
      <RoleBoxes held={user.roles} />
      <TextField
        label={t("New password")}
        name="password"
        type="password"
        minLength={LEAST}
        maxLength={1024}
        autoComplete="new-password"
        hint={t("Left empty, it stays as it is")}
      />
      <label className="flex items-center gap-2">
        <input type="checkbox" name="disabled" defaultChecked={user.disabled} className="accent-accent" />
        {t("Disable {name}", { name: user.name })}
      </label>
    </FormDialog>
  );
}
