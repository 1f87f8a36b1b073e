import { expect, test } from "vitest";
import { modernAddress } from "./address";

const at = (pathname: string, hash = "", search = "") => ({ pathname, hash, search });

test("an address behind # leads to the same page, with its filters, wherever a proxy puts the service", () => {
  expect(modernAddress(at("/", "#/queue?case=7"), "")).toBe("/console/queue?case=7");
  expect(modernAddress(at("/fraud/", "#/transactions/a%2Fb"), "/fraud")).toBe("/fraud/console/transactions/a%2Fb");
});

test("the address of the service leads to the first page, and one of today stays", () => {
  expect(modernAddress(at("/"), "")).toBe("/console/");
  expect(modernAddress(at("/console/rules", "#main"), "")).toBeNull();
});
