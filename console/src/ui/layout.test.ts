import { expect, test } from "vitest";
import { columnsText, shownColumns, sortOf, sortText, widened, widthsOf } from "./layout";

const ALL = ["time", "amount", "who", "id"];
const USUAL = ["time", "amount"];

test("columns come in the table's order, and an address that names none of them shows the usual ones", () => {
  expect(shownColumns({}, ALL, USUAL)).toEqual(USUAL);
  expect(shownColumns({ columns: "id,time,unheard" }, ALL, USUAL)).toEqual(["time", "id"]);
  expect(shownColumns({ columns: "unheard" }, ALL, USUAL)).toEqual(USUAL);
  expect(columnsText(["time", "amount"], USUAL)).toBeUndefined();
  expect(columnsText(["time"], USUAL)).toBe("time");
});

test("an order of rows goes into the address and comes back", () => {
  for (const sort of ["amount", "-amount"]) expect(sortText(sortOf({ sort }))).toBe(sort);
  expect(sortText(sortOf({}))).toBeUndefined();
});

test("widths are bounded, and what is none is passed over", () => {
  expect(widthsOf({ widths: "who:240,why:wide,:,id:-4" })).toEqual({ who: 240 });
  expect(widened({ widths: "who:240" }, "id", 90.4)).toBe("who:240,id:90");
  expect(widened({ widths: "who:240" }, "who", 1)).toBe("who:48");
  expect(widened({}, "who", 90_000)).toBe("who:1200");
});
