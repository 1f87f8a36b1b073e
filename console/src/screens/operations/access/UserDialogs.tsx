import { TextField } from "~/ui/Field";
import { FormDialog, part } from "~/ui/FormDialog";
import { sayDone } from "~/ui/said";
import { addUser, changeUser, type User } from "./access";
import { RoleBoxes, rolesIn } from "./RoleBoxes";
import { SetupToken } from "./SetupToken";

const LEAST = 12;

/** Adds somebody who may sign in; `first`: the one who closes an open service. */
export function AddUser({ first, onClose }: { first: boolean; onClose: () => void }) {
  return (
    <FormDialog
      title="Add a user"
      about={
        first ? "The first user is an administrator. After this you sign in with this name and password." : undefined
      }
      action="Add"
      onClose={onClose}
      onSubmit={async (given) => {
        const name = part(given, "name") ?? "";
        const user = { name, password: String(given.get("password")), roles: rolesIn(given) };
        await addUser(user, part(given, "token"));
        sayDone(`${name} may sign in now.`);
      }}
    >
      <TextField
        label="Name"
        name="name"
        required
        maxLength={100}
        autoComplete="off"
        autoFocus
        hint="Letters, digits and . _ @ + -"
      />
      <TextField
        label="Password"
        name="password"
        type="password"
        required
        minLength={LEAST}
        maxLength={1024}
        autoComplete="new-password"
        hint={`At least ${LEAST} letters`}
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
      title={`Change ${user.name}`}
      about="A new password, or disabling the user, ends all sessions."
      action="Change"
      onClose={onClose}
      onSubmit={async (given) => {
        const password = String(given.get("password") ?? "");
        await changeUser(user.name, {
          roles: rolesIn(given),
          disabled: given.get("disabled") === "on",
          password: password || null,
        });
        sayDone(`${user.name} is changed.`);
      }}
    >
      <RoleBoxes held={user.roles} />
      <TextField
        label="New password"
        name="password"
        type="password"
        minLength={LEAST}
        maxLength={1024}
        autoComplete="new-password"
        hint="Left empty, it stays as it is"
      />
      <label className="flex items-center gap-2">
        <input type="checkbox" name="disabled" defaultChecked={user.disabled} className="accent-accent" />
        Disable {user.name}
      </label>
    </FormDialog>
  );
}
