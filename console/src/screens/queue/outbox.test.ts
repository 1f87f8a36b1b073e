import { describe, expect, it } from "vitest";
import { type Act, actInWords, type Case, dealtWith, Outbox, refusals, saidBy } from "./outbox";

const good: Act = { kind: "verdict", verdict: "good" };
const about = (id: string) => ({ id, version: 1 }) as Case;

/** An outbox whose answers come when the test says so. */
function scene() {
  const sent: { id: string; answer: (error?: Error) => Promise<void> }[] = [];
  const outbox = new Outbox(
    (each) =>
      new Promise((resolve, reject) => {
        const answer = async (error?: Error) => {
          if (error) reject(error);
          else resolve({ ...each, state: "decided" });
          await new Promise((done) => setTimeout(done));
        };
        sent.push({ id: each.id, answer });
      }),
  );
  return { outbox, sent };
}

const soon = () => new Promise((done) => setTimeout(done));

describe("the outbox", () => {
  it("sends one after the other, in the order in which they were said, and counts them as dealt with at once", async () => {
    const { outbox, sent } = scene();
    for (const id of ["a", "b", "c"]) outbox.say(about(id), good);
    expect([...dealtWith(outbox.said)].sort()).toEqual(["a", "b", "c"]);
    await soon();
    expect(sent.map((each) => each.id)).toEqual(["a"]);
    await sent[0]?.answer();
    await sent[1]?.answer();
    await sent[2]?.answer();
    expect(sent.map((each) => each.id)).toEqual(["a", "b", "c"]);
    expect(outbox.waiting).toBe(0);
  });

  it("keeps what is refused, with the reason, and goes on with the others", async () => {
    const { outbox, sent } = scene();
    outbox.say(about("a"), good);
    outbox.say(about("b"), good);
    await soon();
    await sent[0]?.answer(new Error("ben holds it"));
    await sent[1]?.answer();
    expect(refusals(outbox.said).get("a")?.why).toBe("ben holds it");
    expect([...dealtWith(outbox.said)]).toEqual(["b"]);
  });

  it("tries again what was refused, in place of the refusal", async () => {
    const { outbox, sent } = scene();
    outbox.say(about("a"), good);
    await soon();
    await sent[0]?.answer(new Error("no"));
    const refused = refusals(outbox.said).get("a");
    if (refused) outbox.again(refused);
    await soon();
    await sent[1]?.answer();
    expect(outbox.said.map((each) => each.state)).toEqual(["done"]);
  });

  it("never forgets a refusal, however much is done after it", async () => {
    const refuse = new Set(["first"]);
    const outbox = new Outbox(async (each) => {
      if (refuse.has(each.id)) throw new Error("no");
      return each;
    });
    outbox.say(about("first"), good);
    for (let n = 0; n < 600; n++) outbox.say(about(`c${n}`), good);
    await new Promise((done) => outbox.after(async () => done(null)));
    expect(refusals(outbox.said).has("first")).toBe(true);
    expect(outbox.said.length).toBeLessThan(510);
  });

  it("shows to each what they said, also after somebody else has signed in", () => {
    const { outbox } = scene();
    outbox.say(about("a"), good, "ana");
    outbox.say(about("b"), good, "ben");
    expect(saidBy(outbox.said, "ben").map((each) => each.about.id)).toEqual(["b"]);
  });

  it("says what was done in words", () => {
    expect(actInWords({ kind: "verdict", verdict: "fraud", reason: "card_stolen" })).toBe("fraud: card stolen");
    expect(actInWords({ kind: "escalate", queue: "experts" })).toBe("escalated to experts");
  });
});
