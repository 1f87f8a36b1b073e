/** The rule that a reader of a feature belongs to: a candidate reads under its rule's name with its version behind it. */
export function ruleOf(reader: string, known: readonly string[]): string {
  const rule = reader.replace(/_v\d+$/, "");
  return !known.includes(reader) && known.includes(rule) ? rule : reader;
}
