/** Where in a condition an error is, as the service tells it in its sentence: "(at 'amuont', character 1 of ...)". */

export interface Place {
  from: number;
  to: number;
  message: string;
}

const AT = /\b(?:at|read at) (?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"), character (\d+)/;

/** The part of the text at fault and what is wrong with it; the whole text where the sentence names no part. */
export function placeOf(sentence: string, text: string): Place {
  const message = plain(sentence);
  const found = AT.exec(sentence);
  if (!found) return { from: 0, to: text.length, message };
  const quoted = unescaped(found[1] ?? found[2] ?? "");
  const from = Math.min(Number(found[3]) - 1, text.length);
  return { from, to: Math.min(from + Math.max(1, quoted.length), Math.max(text.length, from)), message };
}

/** The sentence without what the reader sees anyway: which rule this is, and the condition itself. */
export function plain(sentence: string): string {
  return sentence
    .replace(/^(?:rule|feature|condition)?\s*'?[A-Za-z_]\w*'?(?:,? [a-z]+)?: /, "")
    .replace(/ \((?:at|in) (?:'.*'|".*")\)$/s, "")
    .replace(/ in (?:'.*'|".*")$/s, "");
}

function unescaped(text: string): string {
  return text.replace(/\\n/g, "\n").replace(/\\t/g, "\t").replace(/\\(.)/g, "$1");
}
