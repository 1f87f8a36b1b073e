/** The rule that a decision or a feature names: a candidate fires under its rule's name with its version behind it. */
export function ruleOf(name: string, known: readonly string[]): string {
  const rule = name.replace(/_v\d+$/, "");
  return !known.includes(name) && known.includes(rule) ? rule : name;
}
