import { useDetectors } from "~/api/detectors";
import { Select, TextField } from "~/ui/Field";
import { FormDialog, part } from "~/ui/FormDialog";
import { sayDone } from "~/ui/said";
import { t } from "~/words/language";
import { addWebhook, changeWebhook, KINDS, removeWebhook, type Webhook } from "./webhooks";

const DECISIONS = ["APPROVE", "CHALLENGE", "REVIEW", "BLOCK"] as const;

type OnMade = (made: { url: string; secret: string }) => void;

/** Adds an endpoint; its secret is handed to `onMade`, this once. */
export function AddWebhook({ onClose, onMade }: { onClose: () => void; onMade: OnMade }) {
  const detectors = useDetectors().data ?? [];
  return (
    <FormDialog
      title={t("Add an endpoint")}
      about={t("It gets events from now on. Its signing secret is shown once.")}
      action={t("Add")}
      onClose={onClose}
      onSubmit={async (given) => {
        const kinds = given.getAll("kinds");
        const detector = part(given, "detector");
        const { secret, webhook } = await addWebhook({
          url: part(given, "url") ?? "",
          description: part(given, "description") ?? "",
          types: KINDS.filter((kind) => kinds.includes(kind.name)).flatMap((kind) => kind.types),
          decisions: DECISIONS.filter((each) => given.getAll("decisions").includes(each)),
          detectors: detector ? [detector] : [],
          enabled: true,
          retention_days: Number(part(given, "days") ?? 7),
          timeout_s: 10,
        });
        onMade({ url: webhook.url, secret: secret ?? "" });
      }}
    >
      <TextField
        label={t("Address")}
        name="url"
        type="url"
        required
        maxLength={2000}
        autoFocus
        placeholder="https://"
      />
      <TextField label={t("Description")} name="description" maxLength={500} autoComplete="off" />
      <Boxes legend={t("Events (all if none is chosen)")} name="kinds" values={KINDS.map((kind) => kind.name)} />
      <Boxes legend={t("Of decisions (all if none is chosen)")} name="decisions" values={DECISIONS} />
      {detectors.length > 1 && (
        <Select label={t("Detector")} name="detector">
          <option value="">{t("all")}</option>
          {detectors.map((each) => (
            <option key={each.name}>{each.name}</option>
          ))}
        </Select>
      )}
      <TextField
        label={t("Keep for days")}
        name="days"
        type="number"
        min={1}
        max={30}
        defaultValue={7}
        hint={t("How long an event is tried again, and kept for replay")}
      />
    </FormDialog>
  );
}

function Boxes({ legend, name, values }: { legend: string; name: string; values: readonly string[] }) {
  return (
    <fieldset className="flex flex-wrap gap-x-4 gap-y-1">
      <legend className="pb-1 font-medium text-xs">{legend}</legend>
      {values.map((value) => (
        <label key={value} className="flex items-center gap-1.5">
          <input type="checkbox" name={name} value={value} className="accent-accent" /> {value}
        </label>
      ))}
    </fieldset>
  );
}

/** Makes a new secret; for a day events are signed with both. */
export function RotateSecret({ of, onClose, onMade }: { of: Webhook; onClose: () => void; onMade: OnMade }) {
  return (
    <FormDialog
      title={t("Make a new signing secret")}
      about={t("For a day, events to {url} are signed with the new secret and with the one before.", { url: of.url })}
      action={t("Make a new secret")}
      onClose={onClose}
      onSubmit={async () => {
        const { secret } = await changeWebhook(of.id, { rotate_secret: true });
        onMade({ url: of.url, secret: secret ?? "" });
      }}
    />
  );
}

/** Asks before an endpoint is removed. */
export function RemoveWebhook({ of, onClose, onRemoved }: { of: Webhook; onClose: () => void; onRemoved: () => void }) {
  return (
    <FormDialog
      title={t("Remove {url}", { url: of.url })}
      about={t("Its log is deleted, and what waits for it is not delivered. Pause it to keep both.")}
      action={t("Remove")}
      danger
      onClose={onClose}
      onSubmit={async () => {
        await removeWebhook(of.id);
        onRemoved();
        sayDone(t("{url} is removed.", { url: of.url }));
      }}
    />
  );
}
