const VERSION = /_v\d+$/;

/** Whether a name may be that of a version that is tried: the name of its rule, and the version behind it. */
export const mayBeVersion = (name: string) => VERSION.test(name);

/** The rule that a name belongs to: a version that is tried fires under the rule's name with the version behind it. */
export function ruleOf(name: string, known: readonly string[]): string {
  const rule = name.replace(VERSION, "");
  return !known.includes(name) && known.includes(rule) ? rule : name;
}
