import { TextField } from "~/ui/Field";

/** Asks for the one-time token with which the first user or key of an open service is made. */
export function SetupToken() {
  return (
    <TextField
      label="Setup token"
      name="token"
      required
      maxLength={100}
      autoComplete="off"
      hint="The service printed it when it started"
    />
  );
}
