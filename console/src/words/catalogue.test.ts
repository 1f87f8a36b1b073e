import ts from "typescript";
import { describe, expect, it } from "vitest";
import catalogue from "./catalogue/de.json";
import vocabulary from "./catalogue/vocabulary.json";

const SOURCES = import.meta.glob("../**/*.{ts,tsx}", { query: "?raw", import: "default", eager: true }) as Record<string, string>; // biome-ignore format: one line
const PAGES = Object.entries(SOURCES).filter(([path]) => !/\.test\.tsx?$|schema\.d\.ts$/.test(path));
const PLACE = /\{\w+\}/g;

/** What is written in code for people who read code, or for machines. */
const NO_TEXT = /^(className|class|key|id|to|type|role|href|rel|target|name|value|from|d|accept|autoComplete|inputMode|look|tone|field|align|side|placeholder|example)$/; // biome-ignore format: one line

interface Found {
  texts: Set<string>;
  untranslated: string[];
}

/** The texts that go through `t` and `plural`, and those that are shown as they are. */
function read(): Found {
  const found: Found = { texts: new Set(vocabulary), untranslated: [] };
  for (const [path, source] of PAGES) {
    const kind = path.endsWith("x") ? ts.ScriptKind.TSX : ts.ScriptKind.TS;
    visit(ts.createSourceFile(path, source, ts.ScriptTarget.Latest, true, kind), found);
  }
  return found;
}

function visit(node: ts.Node, found: Found): void {
  if (ts.isCallExpression(node) && ts.isIdentifier(node.expression)) {
    const [first, second, third] = node.arguments;
    const literal = (each: ts.Node | undefined) => (each && ts.isStringLiteralLike(each) ? each.text : undefined);
    const [text, one, many] = [literal(first), literal(second), literal(third)];
    if (node.expression.text === "t" && text !== undefined) found.texts.add(text);
    if (node.expression.text === "plural" && one !== undefined) found.texts.add(one).add(many ?? `${one}s`);
  }
  const shown = ts.isJsxText(node) && !isCode(node.parent) ? node.text : ts.isJsxAttribute(node) ? attribute(node) : "";
  if (/[A-Za-z]{2}/.test(shown)) found.untranslated.push(`${node.getSourceFile().fileName}: ${shown.trim()}`);
  ts.forEachChild(node, (child) => visit(child, found));
}

function isCode(element: ts.Node): boolean {
  return ts.isJsxElement(element) && element.openingElement.tagName.getText() === "code";
}

function attribute({ name, initializer }: ts.JsxAttribute): string {
  const text = initializer && ts.isStringLiteral(initializer) ? initializer.text : "";
  return NO_TEXT.test(name.getText()) || !/^[A-Z].*[a-z]/.test(text) ? "" : text;
}

const german: Record<string, string> = catalogue;
const { texts, untranslated } = read();

describe("the catalogues", () => {
  it("know every text of the console", () => {
    expect(untranslated).toEqual([]);
    expect(texts.size).toBeGreaterThan(1_000);
  });

  it("hold each text in German, and no other", () => {
    const known = new Set(Object.keys(german));
    expect([...texts].filter((text) => !known.has(text)).sort()).toEqual([]);
    expect([...known].filter((text) => !texts.has(text)).sort()).toEqual([]);
  });

  it("keep the values of a text, and what joins it to its neighbours", () => {
    const wrong = Object.entries(german).filter(
      ([text, said]) =>
        said.trim() === "" ||
        String(text.match(PLACE)?.sort()) !== String(said.match(PLACE)?.sort()) ||
        text.startsWith(" ") !== said.startsWith(" ") ||
        text.endsWith(" ") !== said.endsWith(" "),
    );
    expect(wrong).toEqual([]);
  });
});
