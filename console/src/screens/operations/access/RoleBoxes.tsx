import { words } from "~/words/numbers";
import { ROLES } from "./access";

/** Which roles somebody has; several add up. They stand in the form under `roles`. */
export function RoleBoxes({ held }: { held: readonly string[] }) {
  return (
    <fieldset className="flex flex-col gap-1">
      <legend className="pb-1 font-medium text-xs">Roles</legend>
      {ROLES.map(({ name, about }) => (
        <label key={name} className="flex items-baseline gap-2">
          <input
            type="checkbox"
            name="roles"
            value={name}
            defaultChecked={held.includes(name)}
            className="translate-y-0.5 accent-accent"
          />
          <span>
            <span className="font-medium">{words(name)}</span> <span className="text-soft">{about}</span>
          </span>
        </label>
      ))}
    </fieldset>
  );
}

/** The roles that are ticked. */
export function rolesIn(given: FormData): string[] {
  return given.getAll("roles").map(String);
}
