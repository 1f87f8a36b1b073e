import { type FormEvent, type ReactNode, useId, useState } from "react";
import { Ask } from "./Ask";
import { told } from "./Asked";
import { Button } from "./Button";

interface Props {
  title: string;
  about?: ReactNode;
  /** What the button says that does it. */
  action: string;
  danger?: boolean;
  onClose: () => void;
  /** Does it; what it throws is shown and the dialog stays. */
  onSubmit: (given: FormData) => unknown;
  children?: ReactNode;
}

/** A dialog with a form. Enter sends it, in a text of several lines with Ctrl or Cmd; a refusal is said beside the button. */
export function FormDialog({ title, about, action, danger, onClose, onSubmit, children }: Props) {
  const id = useId();
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState<string>();

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    setBusy(true);
    setWrong(undefined);
    try {
      await onSubmit(new FormData(event.currentTarget));
      onClose();
    } catch (error) {
      setWrong(told(error));
      setBusy(false);
    }
  }

  return (
    <Ask
      open
      title={title}
      about={about}
      onClose={onClose}
      actions={
        <Button look={danger ? "danger" : "main"} type="submit" form={id} busy={busy}>
          {action}
        </Button>
      }
    >
      <form
        id={id}
        onSubmit={(event) => void submit(event)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.currentTarget.requestSubmit();
        }}
        className="flex flex-col gap-3"
      >
        {children}
        {wrong && (
          <p role="alert" className="text-block">
            {wrong}
          </p>
        )}
      </form>
    </Ask>
  );
}

/** What stands in a field of a form, or nothing. */
export function part(given: FormData, name: string): string | undefined {
  const found = given.get(name);
  return typeof found === "string" && found.trim() !== "" ? found.trim() : undefined;
}
