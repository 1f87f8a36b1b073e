import { TriangleAlert } from "lucide-react";
import type { Finding } from "./books";

/** What is probably not meant; it refuses nothing. */
export function Warnings({ findings }: { findings: readonly Finding[] }) {
  if (findings.length === 0) return null;
  return (
    <ul className="flex flex-col gap-1">
      {findings.map((each) => (
        <li
          key={`${each.kind} ${each.sentence}`}
          className="flex items-start gap-2 rounded-md bg-review-tint px-3 py-2 text-review"
        >
          <TriangleAlert aria-hidden size={16} className="mt-0.5 shrink-0" />
          <span className="min-w-0 break-words">{each.sentence}</span>
        </li>
      ))}
    </ul>
  );
}
