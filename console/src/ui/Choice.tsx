import { cx } from "./styles";

interface Props<T extends string> {
  label: string;
  options: readonly { value: T; name: string }[];
  value: T;
  onChange: (value: T) => void;
}

/** One of a few, side by side: a range of time, a view. Arrow keys move, as between radio buttons. */
export function Choice<T extends string>({ label, options, value, onChange }: Props<T>) {
  return (
    <fieldset className="inline-flex rounded-md border bg-panel p-0.5">
      <legend className="sr-only">{label}</legend>
      {options.map((option) => (
        <label
          key={option.value}
          className={cx(
            "cursor-pointer rounded px-2.5 py-1 text-sm has-focus-visible:outline-2 has-focus-visible:outline-accent",
            option.value === value ? "bg-accent font-medium text-on-accent" : "text-soft hover:text-ink",
          )}
        >
          <input
            type="radio"
            className="sr-only"
            name={label}
            value={option.value}
            checked={option.value === value}
            onChange={() => onChange(option.value)}
          />
          {option.name}
        </label>
      ))}
    </fieldset>
  );
}
