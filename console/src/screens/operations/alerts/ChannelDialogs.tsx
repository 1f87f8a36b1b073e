import { useState } from "react";
import { Select, TextField } from "~/ui/Field";
import { FormDialog, part } from "~/ui/FormDialog";
import { sayDone } from "~/ui/said";
import { t } from "~/words/language";
import { addChannel, type ChannelSetup, changeChannel, removeChannel, settingsIn } from "./channels";

const KINDS = ["slack", "webhook", "email"] as const;
type Kind = (typeof KINDS)[number];

/** Adds a channel. */
export function AddChannel({ onClose }: { onClose: () => void }) {
  const [kind, choose] = useState<Kind>("slack");
  return (
    <FormDialog
      title={t("Add a channel")}
      about={t("It gets alerts within seconds. Secrets are not shown again.")}
      action={t("Add")}
      onClose={onClose}
      onSubmit={async (given) => {
        const name = part(given, "name") ?? "";
        await addChannel({ ...settingsIn(given), name, kind, enabled: true });
        sayDone(t("{name} gets alerts.", { name }));
      }}
    >
      <TextField
        label={t("Name")}
        name="name"
        required
        maxLength={64}
        pattern="[A-Za-z0-9][A-Za-z0-9_\-]*"
        title={t("Letters, digits, - and _")}
        autoComplete="off"
        autoFocus
      />
      <Select label={t("Kind")} value={kind} onChange={(event) => choose(event.target.value as Kind)}>
        {KINDS.map((each) => (
          <option key={each}>{each}</option>
        ))}
      </Select>
      <Settings kind={kind} />
    </FormDialog>
  );
}

/** Changes a channel; secrets that are left empty stay. */
export function EditChannel({ of, onClose }: { of: ChannelSetup; onClose: () => void }) {
  return (
    <FormDialog
      title={t("Edit {name}", { name: of.name })}
      about={t("A field that is left empty stays as it is.")}
      action={t("Save")}
      onClose={onClose}
      onSubmit={async (given) => {
        await changeChannel(of.name, settingsIn(given));
        sayDone(t("{name} is changed.", { name: of.name }));
      }}
    >
      <Settings kind={of.kind as Kind} of={of} />
    </FormDialog>
  );
}

/** Asks before a channel is removed. */
export function RemoveChannel({ of, onClose }: { of: ChannelSetup; onClose: () => void }) {
  return (
    <FormDialog
      title={t("Remove {name}", { name: of.name })}
      about={t("Alerts are no longer sent there. Pause it to keep its settings.")}
      action={t("Remove")}
      danger
      onClose={onClose}
      onSubmit={async () => {
        await removeChannel(of.name);
        sayDone(t("{name} is removed.", { name: of.name }));
      }}
    />
  );
}

function Settings({ kind, of }: { kind: Kind; of?: ChannelSetup }) {
  const kept = (name: string) => (of?.secrets.includes(name) ? t("Stored; type a new one to replace it") : undefined);
  const secret = { type: "password", maxLength: 500, autoComplete: "new-password" } as const;
  return (
    <>
      {kind !== "email" && (
        <TextField
          label={t("Address")}
          name="url"
          type="url"
          required={!of}
          maxLength={2000}
          autoComplete="off"
          placeholder={of?.url ?? "https://"}
          hint={
            kept("url") ?? (kind === "slack" ? t("An incoming webhook of Slack; it is kept as a secret") : undefined)
          }
        />
      )}
      {kind === "webhook" && <TextField label={t("Signing secret")} name="secret" hint={kept("secret")} {...secret} />}
      {kind === "email" && (
        <>
          <TextField
            label={t("To")}
            name="to"
            required
            defaultValue={of?.to?.join(", ")}
            hint={t("Addresses, with commas")}
          />
          <TextField label={t("From")} name="from" type="email" required defaultValue={of?.from ?? undefined} />
          <TextField label={t("Server")} name="host" required maxLength={253} defaultValue={of?.host ?? undefined} />
          <TextField label={t("Port")} name="port" type="number" min={1} max={65535} defaultValue={of?.port ?? 587} />
          <Select label={t("Encryption")} name="tls" defaultValue={of?.tls ?? "starttls"}>
            <option value="starttls">{t("STARTTLS")}</option>
            <option value="tls">{t("TLS")}</option>
            <option value="none">{t("none")}</option>
          </Select>
          <TextField label={t("User")} name="user" autoComplete="off" defaultValue={of?.user ?? undefined} />
          <TextField label={t("Password")} name="password" hint={kept("password")} {...secret} />
        </>
      )}
      <Select label={t("From severity")} name="severity" defaultValue={of?.severity ?? "warning"}>
        <option>{t("info")}</option>
        <option>{t("warning")}</option>
        <option>{t("critical")}</option>
      </Select>
    </>
  );
}
