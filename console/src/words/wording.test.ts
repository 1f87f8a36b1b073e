import { describe, expect, it } from "vitest";

const SOURCES = import.meta.glob("../**/*.{ts,tsx}", { query: "?raw", import: "default", eager: true }) as Record<string, string>; // biome-ignore format: one line

/** Expressions that users of this field do not know, and what they are called instead. Comments are free. */
const REPLACED: [RegExp, string][] = [
  [/Let thieves loose|No attack was begun/, "Simulate an attack"],
  [/no key is asked for/, "No authentication"],
  [/Not for you/, "Access denied"],
  [/Nobody is asked who they are|tells nobody what it decides/, "Authentication is off"],
  [/[Aa]t stake"|Most at stake/, "Expected loss"],
  [/Nobody holds it|nobody holds any/, "Unassigned"],
  [/[Gg]ive back/, "Unassign"],
  [/With a reason|Correct the verdict|Say so|Write it down/, "verb and noun"],
  [/What is to be remembered|mark for a verdict over many|"case before"/, "Note, select, previous case"],
  [/Look at what it will touch/, "Review the affected cases"],
  [/How it fares/, "Performance"],
  [/on so many of them|nothing hit|"young"/, "Unique hits, labels incomplete"],
  [/It can be read/, "Valid"],
  [/By which decisions name it|For people; names in braces|beaten by nothing/, "Reason code"],
  [/What it would have done|As soon as the condition can be read/, "Backtest"],
  [/less strictly|nobody objected|nobody looked|decided otherwise/, "changes"],
  [/Before believing the figures/, "Caveats"],
  [/version \$\{[^}]*\} (acts|watches)\b/, "live, in shadow"],
  [/It scores the same events as the champion and decides nothing/, "Shadow mode"],
  [/Trials and promotions|header: "Because"/, "Deployment history, Reason"],
  [/moved, on few rows/, "insufficient data"],
  [/Of all fraud, in money|Good ones stopped|"As in force"|>As in force</, "Value detection rate"],
  [/"On the test"|probability that was said/, "Test metrics"],
  [/since counting began/, "last"],
  [/half and 99 of 100 took no longer|for the caller/, "p50, p99, end to end"],
  [/What was to be paid/, "Transaction amount"],
  [/"Go on"/, "Resume"],
  [/stand in the same transactions|There is more than is shown/, "Linked entities"],
  [/Everything around it as JSON|> Replay|replay: /, "Context JSON, Verify"],
  [/Everything is well|looked at </, "All systems operational"],
  [/It was taken in|Send again/, "Accepted, Resubmit"],
  [/It is being made|Open by itself/, "Generating, Open in new tab"],
  [/Look again|Verified: unbroken/, "Refresh, Chain intact"],
  [/ to take in|"not checked"/, "lag, not verified"],
  [/No other rule fired|Everything that was said/, "Unique hits, History of labels"],
  [/takes care of it/, "Acknowledged by"],
  [/Make a key|Begins with"|Shown last|A program shows one/, "Create API key"],
  [/may sign in<|12 letters/, "Active"],
  [/Takes from|On their way|"Trouble"|sent nowhere/, "Minimum severity"],
  [/Take care of this alert|What is being done/, "Acknowledge alert"],
  [/flat arrays/, "see entities below"],
  [/[Kk]nown good|presumed good|"Good"|Good (customers|revenue)|\? "fraud" : "good"\}|\} good\b/, "legitimate"],
  [/champion: decides/, "Champion (live)"],
  [/Decide, as a dry run|The same from a shell|Make up an event|· needed/, "Score (dry run)"],
];

describe("the texts of the console", () => {
  it("say what users of this field say", () => {
    const found = Object.entries(SOURCES)
      .filter(([path]) => !/\.test\.tsx?$|schema\.d\.ts$/.test(path))
      .flatMap(([path, source]) => {
        const texts = source.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
        return REPLACED.filter(([old]) => old.test(texts)).map(([old, better]) => `${path}: ${old} → ${better}`);
      });
    expect(found).toEqual([]);
  });

  it("are all read by this test", () => {
    expect(Object.keys(SOURCES).length).toBeGreaterThan(200);
  });
});
