// @vitest-environment jsdom
import { beforeEach, describe, expect, it } from "vitest";
import { language, startLanguage, t } from "./language";

describe("the language of the console", () => {
  beforeEach(() => localStorage.clear());

  it("is English where nothing else was chosen, and German where it was", async () => {
    expect(language()).toBe("en");
    localStorage.setItem("penstock.language", "de");
    expect(language()).toBe("de");
    await startLanguage();
    expect(document.documentElement.lang).toBe("de");
    expect(t("Review queue")).toBe("Prüfliste");
    expect(t("a text that no catalogue has")).toBe("a text that no catalogue has");
  });

  it("is one that the console has", () => {
    localStorage.setItem("penstock.language", "tlh");
    expect(language()).toBe("en");
  });

  it("puts values into texts as they are", async () => {
    await startLanguage();
    expect(t("{name} removed.", { name: "<b> {name} & Söhne" })).toBe("<b> {name} & Söhne removed.");
    expect(t("no values: {amount:.2f}")).toBe("no values: {amount:.2f}");
  });
});
