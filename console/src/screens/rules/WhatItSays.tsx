import type { ReactNode } from "react";
import { Outcome } from "~/ui/Outcome";
import { Panel } from "~/ui/Panel";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import type { RuleVersion } from "./books";

/** One version in full. */
export function WhatItSays({ title, version }: { title: string; version: RuleVersion }) {
  return (
    <Panel title={title}>
      <pre className="overflow-x-auto whitespace-pre-wrap break-words rounded-md bg-raised p-3 font-mono">
        {version.when}
      </pre>
      <dl className="mt-3 grid grid-cols-[auto_1fr] gap-x-4 gap-y-1.5">
        <Line name={t("Then")}>
          <Outcome of={version.then} />
          {version.hard && (
            <span className="ml-2 text-soft text-xs">
              {t("hard block: overrides allow rules and applies even if scoring fails")}
            </span>
          )}
          {version.override && (
            <span className="ml-2 text-soft text-xs">
              {t("override: lowers what the score or another rule asks for")}
            </span>
          )}
        </Line>
        <Line name={t("It says")}>
          {version.reason ?? <span className="text-soft">{t("nothing of its own")}</span>}
        </Line>
        <Line name={t("Code")}>
          <code className="font-mono text-xs">{version.code}</code>
        </Line>
        <Line name={t("Written")}>
          <Time at={version.written_at} /> {t("by {author}", { author: version.author })}
        </Line>
        <Line name={t("Note")}>{version.note || <span className="text-soft">–</span>}</Line>
      </dl>
    </Panel>
  );
}

function Line({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-soft">{name}</dt>
      <dd className="min-w-0 break-words">{children}</dd>
    </>
  );
}
