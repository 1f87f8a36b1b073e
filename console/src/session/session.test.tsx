// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, renderHook } from "@testing-library/react";
import type { ReactNode } from "react";
import { describe, expect, it, vi } from "vitest";
import { EVERYWHERE, type Session, useMay, useSession, useSigning } from "./session";

const { nobody, ana } = vi.hoisted(() => {
  const nobody: Session = {
    name: "",
    roles: [],
    rights: [],
    everywhere: [],
    by_detector: {},
    open: false,
    sign_in: { needed: true, password: true, oidc: false },
    notice: null,
  };
  const ana: Session = {
    ...nobody,
    name: "ana",
    rights: ["label", "read"],
    everywhere: ["read"],
    by_detector: { card: ["label", "read"] },
    sign_in: { ...nobody.sign_in, needed: false },
  };
  return { nobody, ana };
});

vi.mock("~/api/client", async (original) => {
  const answer = (data: Session) => async () => ({ data, response: new Response() });
  const api = { GET: answer(nobody), POST: answer(ana), DELETE: answer(nobody) };
  return { ...(await original<typeof import("~/api/client")>()), api };
});

/** Waiting ends as soon as it is so. */
const PATIENCE = { timeout: 30_000 };

function scene() {
  const queries = new QueryClient();
  const wrapper = ({ children }: { children: ReactNode }) => (
    <QueryClientProvider client={queries}>{children}</QueryClientProvider>
  );
  const { result } = renderHook(
    () => ({
      who: useSession().data?.name,
      may: useMay(),
      mayCard: useMay("card"),
      mayBank: useMay("bank"),
      mayAll: useMay(EVERYWHERE),
      ...useSigning(),
    }),
    { wrapper },
  );
  return { queries, result };
}

describe("signing in and out", () => {
  it("is noticed by the page that is open", async () => {
    const { result } = scene();
    await act(() => result.current.signIn("ana", "secret"));
    await vi.waitFor(() => expect(result.current.who).toBe("ana"), PATIENCE);
    expect(result.current.may("read")).toBe(true);
    await act(() => result.current.signOut());
    await vi.waitFor(() => expect(result.current.who).toBe(""), PATIENCE);
    expect(result.current.may("read")).toBe(false);
  });

  it("tells what is allowed for a detector, for any and for all", async () => {
    const { result } = scene();
    await act(() => result.current.signIn("ana", "secret"));
    await vi.waitFor(() => expect(result.current.who).toBe("ana"), PATIENCE);
    const { may, mayCard, mayBank, mayAll } = result.current;
    expect([may("label"), mayCard("label"), mayBank("label"), mayAll("label")]).toEqual([true, true, false, false]);
    expect([may("read"), mayCard("read"), mayBank("read"), mayAll("read")]).toEqual([true, true, true, true]);
  });

  it("leaves nothing of what was asked as somebody else", async () => {
    const { queries, result } = scene();
    queries.setQueryData(["cases"], ["of somebody else"]);
    await act(() => result.current.signIn("ana", "secret"));
    expect(queries.getQueryData(["cases"])).toBeUndefined();
  });
});
