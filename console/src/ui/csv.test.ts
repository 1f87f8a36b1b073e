import { describe, expect, it } from "vitest";
import { csvOfRows } from "./csv";

describe("a list as CSV", () => {
  it("has a column for each field of any row, and names of the event under their own", () => {
    const named = (value: string) => [{ field: "customer_id", value, role: "payer", entity: "customer" }];
    const rows = [
      { id: "t1", amount: 9.5, named: named("C1"), known: null, labels: { fraud: 2 }, tags: ["a", "b"] },
      { id: "t2", amount: null, named: named('x "1", y'), known: true, labels: { fraud: 0, good: 1 }, tags: [] },
    ];
    expect(csvOfRows(rows).split("\r\n")).toEqual([
      "id,amount,customer_id,known,labels.fraud,tags,labels.good",
      "t1,9.5,C1,,2,a; b,",
      't2,,"x ""1"", y",true,0,,1',
      "",
    ]);
  });

  it("gives a spreadsheet no formula", () => {
    expect(csvOfRows([{ name: "=cmd()", less: "-1", number: -1 }])).toBe("name,less,number\r\n'=cmd(),'-1,-1\r\n");
  });
});
