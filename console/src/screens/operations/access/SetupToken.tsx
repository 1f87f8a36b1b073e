import { TextField } from "~/ui/Field";
import { t } from "~/words/language";

/** Asks for the one-time token with which the first user or key of an open service is made. */
export function SetupToken() {
  return (
    <TextField
      label={t("Setup token")}
      name="token"
      required
      maxLength={100}
      autoComplete="off"
      hint={t("The service printed it when it started")}
    />
  );
}
