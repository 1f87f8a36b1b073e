import {
  type InputHTMLAttributes,
  type ReactNode,
  type SelectHTMLAttributes,
  type TextareaHTMLAttributes,
  useId,
} from "react";
import { cx } from "./styles";

const BOX =
  "min-h-[36px] w-full rounded-md border bg-panel px-2.5 py-1.5 text-ink placeholder:text-soft aria-invalid:border-block";

interface Around {
  label: ReactNode;
  hint?: ReactNode;
  error?: ReactNode;
  /** The label is only for those who hear the page. */
  hidden?: boolean;
  className?: string;
}

interface Wired {
  id: string;
  "aria-invalid": boolean | undefined;
  "aria-describedby": string | undefined;
}

function Labelled({
  label,
  hint,
  error,
  hidden,
  className,
  children,
}: Around & { children: (wired: Wired) => ReactNode }) {
  const id = useId();
  const about = error || hint ? `${id}-about` : undefined;
  return (
    <div className={cx("flex min-w-0 flex-col gap-1", className)}>
      <label htmlFor={id} className={hidden ? "sr-only" : "font-medium text-xs"}>
        {label}
      </label>
      {children({ id, "aria-invalid": error ? true : undefined, "aria-describedby": about })}
      {about && (
        <p id={about} role={error ? "alert" : undefined} className={cx("text-xs", error ? "text-block" : "text-soft")}>
          {error ?? hint}
        </p>
      )}
    </div>
  );
}

/** A line of text, a number, a date. */
export function TextField({
  label,
  hint,
  error,
  hidden,
  className,
  ...rest
}: Around & InputHTMLAttributes<HTMLInputElement>) {
  return (
    <Labelled {...{ label, hint, error, hidden, className }}>
      {(wired) => <input {...rest} {...wired} className={BOX} />}
    </Labelled>
  );
}

/** Several lines. */
export function TextArea({
  label,
  hint,
  error,
  hidden,
  className,
  ...rest
}: Around & TextareaHTMLAttributes<HTMLTextAreaElement>) {
  return (
    <Labelled {...{ label, hint, error, hidden, className }}>
      {(wired) => <textarea {...rest} {...wired} className={BOX} />}
    </Labelled>
  );
}

/** One of several, by the system's own control. */
export function Select({
  label,
  hint,
  error,
  hidden,
  className,
  ...rest
}: Around & SelectHTMLAttributes<HTMLSelectElement>) {
  return (
    <Labelled {...{ label, hint, error, hidden, className }}>
      {(wired) => <select {...rest} {...wired} className={BOX} />}
    </Labelled>
  );
}
