import { ago, duration, inFull, moment, utc } from "~/words/times";

/** A moment in the zone that was chosen; UTC on hover. */
export function Time({
  at,
  form = "moment",
}: {
  at: string | number | null | undefined;
  form?: "moment" | "full" | "ago" | "since";
}) {
  if (at === null || at === undefined) return <span className="text-soft">–</span>;
  const iso = new Date(at);
  const said =
    form === "full"
      ? inFull(at)
      : form === "ago"
        ? ago(at)
        : form === "since"
          ? duration((Date.now() - iso.getTime()) / 1000)
          : moment(at);
  return (
    <time
      dateTime={Number.isNaN(iso.getTime()) ? undefined : iso.toISOString()}
      title={utc(at)}
      className="whitespace-nowrap tabular-nums"
    >
      {said}
    </time>
  );
}
