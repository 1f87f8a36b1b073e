import { describe, expect, it } from "vitest";
import { placeOf, plain } from "./problem";

const RULE = "rule 'condition_under_test': ";

describe("the place of an error in a condition", () => {
  it("is the part that the service quotes", () => {
    const text = "amuont > 5";
    const place = placeOf(
      `${RULE}unknown name 'amuont'. Did you mean amount? (at 'amuont', character 1 of '${text}')`,
      text,
    );
    expect(place).toEqual({ from: 0, to: 6, message: "unknown name 'amuont'. Did you mean amount?" });
  });

  it("is where reading stopped", () => {
    const text = "amount > 5 AND (";
    const sentence = `${RULE}cannot be read at '(', character 16: something is missing here (in '${text}')`;
    expect(placeOf(sentence, text)).toEqual({
      from: 15,
      to: 16,
      message: "cannot be read at '(', character 16: something is missing here",
    });
  });

  it("knows texts that hold quotes and stand in the other kind of them", () => {
    const text = "is_night AND hour(timestamp) < 'a'";
    const part = "hour(timestamp) < 'a'";
    const place = placeOf(`${RULE}< does not take these (at "${part}", character 14 of "${text}")`, text);
    expect(text.slice(place.from, place.to)).toBe(part);
    expect(place.message).toBe("< does not take these");
  });

  it("counts a line break as one character", () => {
    const text = "amount > 5\nAND nme = 1";
    const place = placeOf(`${RULE}unknown name 'nme' (at 'nme', character 16 of 'amount > 5\\nAND nme = 1')`, text);
    expect(text.slice(place.from, place.to)).toBe("nme");
  });

  it("is the whole text where the sentence names no part", () => {
    expect(placeOf(`${RULE}one expression is expected, without a semicolon (in 'a; b')`, "a; b")).toEqual({
      from: 0,
      to: 4,
      message: "one expression is expected, without a semicolon",
    });
  });

  it("never lies beyond the text, though the text has been shortened since", () => {
    const place = placeOf(`${RULE}unknown name 'amuont' (at 'amuont', character 10 of '1 = 1 AND amuont > 5')`, "1 =");
    expect([place.from, place.to]).toEqual([3, 3]);
  });
});

it("a sentence that says nothing of its place is left as it is", () => {
  expect(plain("the service does not answer")).toBe("the service does not answer");
});
