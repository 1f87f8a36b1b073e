import { useState } from "react";
import { Select, TextField } from "~/ui/Field";
import { FormDialog, part } from "~/ui/FormDialog";
import { sayDone } from "~/ui/said";
import { addChannel, type ChannelSetup, changeChannel, removeChannel, settingsIn } from "./channels";

const KINDS = ["slack", "webhook", "email"] as const;
type Kind = (typeof KINDS)[number];

/** Adds a channel. */
export function AddChannel({ onClose }: { onClose: () => void }) {
  const [kind, choose] = useState<Kind>("slack");
  return (
    <FormDialog
      title="Add a channel"
      about="It gets alerts within seconds. Secrets are not shown again."
      action="Add"
      onClose={onClose}
      onSubmit={async (given) => {
        const name = part(given, "name") ?? "";
        await addChannel({ ...settingsIn(given), name, kind, enabled: true });
        sayDone(`${name} gets alerts.`);
      }}
    >
      <TextField
        label="Name"
        name="name"
        required
        maxLength={64}
        pattern="[A-Za-z0-9][A-Za-z0-9_\-]*"
        title="Letters, digits, - and _"
        autoComplete="off"
        autoFocus
      />
      <Select label="Kind" value={kind} onChange={(event) => choose(event.target.value as Kind)}>
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
      title={`Edit ${of.name}`}
      about="A field that is left empty stays as it is."
      action="Save"
      onClose={onClose}
      onSubmit={async (given) => {
        await changeChannel(of.name, settingsIn(given));
        sayDone(`${of.name} is changed.`);
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
      title={`Remove ${of.name}`}
      about="Alerts are no longer sent there. Pause it to keep its settings."
      action="Remove"
      danger
      onClose={onClose}
      onSubmit={async () => {
        await removeChannel(of.name);
        sayDone(`${of.name} is removed.`);
      }}
    />
  );
}

function Settings({ kind, of }: { kind: Kind; of?: ChannelSetup }) {
  const kept = (name: string) => (of?.secrets.includes(name) ? "Stored; type a new one to replace it" : undefined);
  const secret = { type: "password", maxLength: 500, autoComplete: "new-password" } as const;
  return (
    <>
      {kind !== "email" && (
        <TextField
          label="Address"
          name="url"
          type="url"
          required={!of}
          maxLength={2000}
          autoComplete="off"
          placeholder={of?.url ?? "https://"}
          hint={kept("url") ?? (kind === "slack" ? "An incoming webhook of Slack; it is kept as a secret" : undefined)}
        />
      )}
      {kind === "webhook" && <TextField label="Signing secret" name="secret" hint={kept("secret")} {...secret} />}
      {kind === "email" && (
        <>
          <TextField label="To" name="to" required defaultValue={of?.to?.join(", ")} hint="Addresses, with commas" />
          <TextField label="From" name="from" type="email" required defaultValue={of?.from ?? undefined} />
          <TextField label="Server" name="host" required maxLength={253} defaultValue={of?.host ?? undefined} />
          <TextField label="Port" name="port" type="number" min={1} max={65535} defaultValue={of?.port ?? 587} />
          <Select label="Encryption" name="tls" defaultValue={of?.tls ?? "starttls"}>
            <option value="starttls">STARTTLS</option>
            <option value="tls">TLS</option>
            <option value="none">none</option>
          </Select>
          <TextField label="User" name="user" autoComplete="off" defaultValue={of?.user ?? undefined} />
          <TextField label="Password" name="password" hint={kept("password")} {...secret} />
        </>
      )}
      <Select label="From severity" name="severity" defaultValue={of?.severity ?? "warning"}>
        <option>info</option>
        <option>warning</option>
        <option>critical</option>
      </Select>
    </>
  );
}
