/** The editor of conditions: CodeMirror with the names of the detector. Loaded when the first one is shown. */

import { autocompletion, type Completion, type CompletionContext, closeBrackets } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { SQLDialect, sql } from "@codemirror/lang-sql";
import { bracketMatching, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { type Diagnostic, setDiagnostics } from "@codemirror/lint";
import { Compartment, EditorState, type Extension } from "@codemirror/state";
import { EditorView, keymap, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useRef } from "react";
import { type Offer, offersAt, type Scope } from "./completion";
import type { Place } from "./problem";

interface Props {
  label: string;
  value: string;
  onChange: (value: string) => void;
  scope: Scope;
  /** What is wrong and where; null where nothing is. */
  problem: Place | null;
  /** The element that says in words what is wrong. */
  describedBy: string;
  example: string;
}

const DIALECT = SQLDialect.define({
  keywords: "and or not between in is null like ilike case when then else end true false timestamp list",
  operatorChars: "*+-%<>!=|/",
});

const COLOURS = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--accent)", fontWeight: "600" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--approve)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--challenge)" },
  { tag: tags.comment, color: "var(--soft)", fontStyle: "italic" },
]);

const LOOK = EditorView.theme({
  "&": {
    backgroundColor: "var(--panel)",
    color: "var(--ink)",
    borderRadius: "6px",
    border: "1px solid var(--line)",
  },
  "&.cm-focused": { outline: "2px solid var(--accent)", outlineOffset: "1px" },
  ".cm-scroller": { fontFamily: "var(--font-mono)", fontSize: "13.5px", lineHeight: "1.6", minHeight: "5rem" },
  ".cm-content": { caretColor: "var(--ink)", padding: "8px 4px" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  ".cm-placeholder": { color: "var(--soft)" },
  ".cm-matchingBracket": { backgroundColor: "var(--raised)", outline: "1px solid var(--line)" },
  ".cm-selectionBackground, &.cm-focused .cm-selectionBackground": {
    background: "var(--challenge-tint) !important",
  },
  ".cm-tooltip": {
    backgroundColor: "var(--panel)",
    color: "var(--ink)",
    border: "1px solid var(--line)",
    borderRadius: "6px",
  },
  ".cm-tooltip-autocomplete > ul": { fontFamily: "var(--font-mono)", maxHeight: "16rem" },
  ".cm-tooltip-autocomplete > ul > li": { padding: "3px 8px" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": { background: "var(--accent)", color: "var(--on-accent)" },
  ".cm-completionDetail": { fontStyle: "normal", opacity: "0.8", marginLeft: "1em" },
  ".cm-completionInfo": { fontFamily: "var(--font-sans)", padding: "6px 10px", maxWidth: "22rem" },
  ".cm-lintRange-error": {
    backgroundImage: "none",
    textDecoration: "underline wavy var(--block) 1px",
    textUnderlineOffset: "4px",
    backgroundColor: "var(--block-tint)",
  },
  ".cm-diagnostic-error": { borderLeftColor: "var(--block)" },
});

const KINDS: Record<Offer["kind"], string> = {
  field: "variable",
  feature: "property",
  function: "function",
  list: "enum",
  keyword: "keyword",
};

/** A box in which a condition is written, with what fits offered and what is wrong underlined. Tab leaves it. */
export default function ConditionEditor(props: Props) {
  const place = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const newest = useRef(props);
  const attributes = useRef(new Compartment());
  newest.current = props;

  useEffect(() => {
    if (!place.current) return;
    const made = new EditorView({
      parent: place.current,
      state: EditorState.create({ doc: newest.current.value, extensions: extensions(newest, attributes.current) }),
    });
    view.current = made;
    return () => made.destroy();
  }, []);

  useEffect(() => {
    const shown = view.current;
    if (!shown || shown.state.doc.toString() === props.value) return;
    shown.dispatch({ changes: { from: 0, to: shown.state.doc.length, insert: props.value } });
  }, [props.value]);

  useEffect(() => {
    const shown = view.current;
    if (!shown) return;
    shown.dispatch(setDiagnostics(shown.state, diagnostics(props.problem, shown.state.doc.length)));
    shown.dispatch({ effects: attributes.current.reconfigure(described(newest.current)) });
  }, [props.problem]);

  return <div ref={place} />;
}

function extensions(newest: { current: Props }, attributes: Compartment): Extension[] {
  return [
    history(),
    closeBrackets(),
    bracketMatching(),
    EditorView.lineWrapping,
    sql({ dialect: DIALECT }),
    syntaxHighlighting(COLOURS),
    LOOK,
    placeholder(newest.current.example),
    autocompletion({ override: [(context) => offered(context, newest.current.scope)], icons: false }),
    keymap.of([...defaultKeymap, ...historyKeymap]),
    attributes.of(described(newest.current)),
    EditorView.updateListener.of((update) => {
      if (update.docChanged) newest.current.onChange(update.state.doc.toString());
    }),
  ];
}

function described({ label, problem, describedBy }: Props): Extension {
  return EditorView.contentAttributes.of({
    "aria-label": label,
    "aria-describedby": describedBy,
    "aria-invalid": String(problem !== null),
    spellcheck: "false",
  });
}

function diagnostics(problem: Place | null, length: number): Diagnostic[] {
  if (!problem || length === 0) return [];
  const from = Math.min(problem.from, length - 1);
  return [{ from, to: Math.max(from + 1, Math.min(problem.to, length)), severity: "error", message: problem.message }];
}

function offered(context: CompletionContext, scope: Scope) {
  const found = offersAt(context.state.doc.toString(), context.pos, scope, context.explicit);
  if (!found) return null;
  const options: Completion[] = found.offers.map((each) => ({
    label: each.label,
    type: KINDS[each.kind],
    detail: each.detail,
    info: each.about,
    apply: each.apply,
    boost: each.kind === "feature" || each.kind === "field" ? 2 : each.kind === "function" ? 1 : 0,
  }));
  return { from: found.from, options, validFor: /^\w*$/ };
}
