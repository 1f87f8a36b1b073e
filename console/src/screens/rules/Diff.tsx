import { Asked } from "~/ui/Asked";
import { t } from "~/words/language";
import { value, words } from "~/words/numbers";
import { useDiff } from "./books";
import { differences } from "./wordDiff";

interface Props {
  detector: string;
  rule: string;
  before: number;
  after: number;
}

/** What one version says otherwise than another, field by field: what was struck out, and what was added. */
export function Diff({ detector, rule, before, after }: Props) {
  const diff = useDiff(detector, rule, before, after);
  return (
    <Asked of={diff} height={60}>
      {({ changed }) => {
        const fields = Object.entries(changed);
        if (fields.length === 0) return <p className="text-soft">{t("They say the same.")}</p>;
        return (
          <dl className="flex flex-col gap-2">
            {fields.map(([field, pair]) => (
              <div key={field}>
                <dt className="text-soft text-xs">{words(field)}</dt>
                <dd className="whitespace-pre-wrap break-words rounded-md bg-raised p-2 font-mono">
                  <Pieces before={value(pair[0])} after={value(pair[1])} />
                </dd>
              </div>
            ))}
          </dl>
        );
      }}
    </Asked>
  );
}

function Pieces({ before, after }: { before: string; after: string }) {
  return differences(before, after).map((piece) =>
    piece.kind === "same" ? (
      <span key={piece.key}>{piece.text}</span>
    ) : piece.kind === "gone" ? (
      <del key={piece.key} className="bg-block-tint text-block">
        {piece.text}
      </del>
    ) : (
      <ins key={piece.key} className="ml-0.5 bg-approve-tint text-approve">
        {piece.text}
      </ins>
    ),
  );
}
