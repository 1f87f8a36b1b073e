/** Which words of a text were struck out and which were added: the longest common subsequence of its words. */

export interface Piece {
  key: string;
  kind: "same" | "gone" | "new";
  text: string;
}

/** The pieces in reading order, neighbours of one kind joined. */
export function differences(before: string, after: string): Piece[] {
  const [old, now] = [tokens(before), tokens(after)];
  const common = lengths(old, now);
  const pieces: Piece[] = [];
  const put = (kind: Piece["kind"], text: string) => {
    const last = pieces.at(-1);
    if (last?.kind === kind) last.text += text;
    else pieces.push({ key: `${pieces.length}${kind}`, kind, text });
  };
  let [i, j] = [0, 0];
  while (i < old.length || j < now.length) {
    const [here, there] = [old[i], now[j]];
    if (here !== undefined && here === there) {
      put("same", here);
      i++;
      j++;
    } else if (here !== undefined && (there === undefined || at(common, i + 1, j) >= at(common, i, j + 1))) {
      put("gone", here);
      i++;
    } else {
      put("new", there ?? "");
      j++;
    }
  }
  return pieces;
}

function tokens(text: string): string[] {
  return text.match(/\w+|\s+|[^\w\s]/g) ?? [];
}

/** At [i][j]: how many tokens the rests from i and from j have in common. */
function lengths(old: readonly string[], now: readonly string[]): number[][] {
  const table = Array.from({ length: old.length + 1 }, () => new Array<number>(now.length + 1).fill(0));
  for (let i = old.length - 1; i >= 0; i--)
    for (let j = now.length - 1; j >= 0; j--) {
      const row = table[i];
      if (row)
        row[j] = old[i] === now[j] ? at(table, i + 1, j + 1) + 1 : Math.max(at(table, i + 1, j), at(table, i, j + 1));
    }
  return table;
}

function at(table: readonly number[][], i: number, j: number): number {
  return table[i]?.[j] ?? 0;
}
