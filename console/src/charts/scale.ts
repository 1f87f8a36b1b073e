/** The scale of an axis that begins at zero. */

const STEPS = [1, 1.5, 2, 3, 4, 5, 6, 8, 10];

/** A round number that is at least the largest value: where an axis ends. */
export function roundTop(largest: number): number {
  if (!(largest > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(largest));
  const step = STEPS.find((each) => each * power >= largest * (1 - 1e-9)) ?? 10;
  return step * power;
}

/** Places of at most `most` names under `n` columns, the first and the last among them. */
export function places(n: number, most: number): number[] {
  if (n <= 1) return n === 1 ? [0] : [];
  const shown = Math.min(n, Math.max(2, most));
  return Array.from({ length: shown }, (_, each) => Math.round((each * (n - 1)) / (shown - 1)));
}
