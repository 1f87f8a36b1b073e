import { useSigning } from "~/session/session";
import { Select, TextField } from "~/ui/Field";
import { FormDialog, part } from "~/ui/FormDialog";
import { sayDone } from "~/ui/said";
import { t } from "~/words/language";
import { allZones, chooseZone, chosenZone, ownZone, zone } from "~/words/zones";

/** The zone in which times are shown and entered, on this browser. */
export function ChooseZone({ onClose }: { onClose: () => void }) {
  return (
    <FormDialog
      title={t("Time zone")}
      about={t("Times are shown and entered in this zone, in this browser. Records and exports stay in UTC.")}
      action={t("Save")}
      onClose={onClose}
      onSubmit={(given) => {
        chooseZone(part(given, "zone") ?? null);
        sayDone(t("Times are in {zone}.", { zone: zone() }));
      }}
    >
      <Select label={t("Zone")} name="zone" defaultValue={chosenZone() ?? ""}>
        <option value="">{t("The browser's: {ownZone}", { ownZone: ownZone() })}</option>
        {allZones().map((each) => (
          <option key={each}>{each}</option>
        ))}
      </Select>
    </FormDialog>
  );
}

/** Replaces one's own password; the present one is asked for. */
export function ChangePassword({ name, onClose }: { name: string; onClose: () => void }) {
  const { changePassword } = useSigning();
  return (
    <FormDialog
      title={t("Change password")}
      about={t("Of {name}. Your sessions in other browsers end.", { name })}
      action={t("Change")}
      onClose={onClose}
      onSubmit={async (given) => {
        const [present, next] = [String(given.get("present")), String(given.get("next"))];
        if (next !== given.get("again")) throw new Error(t("The two new passwords differ."));
        await changePassword(present, next);
        sayDone(t("Your password is changed."));
      }}
    >
      <input type="hidden" name="username" autoComplete="username" value={name} readOnly />
      <TextField
        label={t("Present password")}
        name="present"
        type="password"
        required
        maxLength={1024}
        autoComplete="current-password"
        autoFocus
      />
      <TextField
        label={t("New password")}
        name="next"
        type="password"
        required
        minLength={12}
        maxLength={1024}
        autoComplete="new-password"
        hint={t("At least 12 characters")}
      />
      <TextField
        label={t("New password again")}
        name="again"
        type="password"
        required
        maxLength={1024}
        autoComplete="new-password"
      />
    </FormDialog>
  );
}
