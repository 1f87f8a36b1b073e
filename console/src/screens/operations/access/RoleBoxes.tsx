import { TextField } from "~/ui/Field";
import { t } from "~/words/language";
import { words } from "~/words/numbers";
import { ROLES } from "./access";

/** Which roles somebody has; several add up. They stand in the form under `roles` and `limited`. */
export function RoleBoxes({ held }: { held: readonly string[] }) {
  const limited = held.filter((role) => role.includes(":"));
  return (
    <fieldset className="flex flex-col gap-1">
      <legend className="pb-1 font-medium text-xs">{t("Roles")}</legend>
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
      <TextField
        className="pt-2"
        label={t("Roles for one detector")}
        name="limited"
        defaultValue={limited.join(" ")}
        autoComplete="off"
        hint={t("As analyst:payments, with spaces between several")}
      />
    </fieldset>
  );
}

/** The roles that are ticked, and those for one detector. */
export function rolesIn(given: FormData): string[] {
  const limited = String(given.get("limited") ?? "").split(/[\s,]+/);
  return [...given.getAll("roles").map(String), ...limited.filter((role) => role !== "")];
}
