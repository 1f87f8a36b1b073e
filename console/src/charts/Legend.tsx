/** What the colours of a chart mean, each with its name and its figure. */
export function Legend({ of }: { of: readonly { name: string; colour: string; value?: string }[] }) {
  return (
    <ul className="flex flex-wrap gap-x-4 gap-y-1 text-xs">
      {of.map((each) => (
        <li key={each.name} className="flex items-center gap-1.5">
          <span
            aria-hidden
            className="inline-block size-2.5 rounded-[2px]"
            style={{ background: `var(--${each.colour})` }}
          />
          <span className="text-soft">{each.name}</span>
          {each.value !== undefined && <span className="figure min-w-8 font-medium">{each.value}</span>}
        </li>
      ))}
    </ul>
  );
}
