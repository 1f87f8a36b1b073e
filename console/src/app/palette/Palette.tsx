import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Search } from "lucide-react";
import { Dialog } from "radix-ui";
import { type KeyboardEvent, useDeferredValue, useEffect, useId, useRef, useState } from "react";
import { api, BASE, say } from "~/api/client";
import { useMay, useSession, useSigning } from "~/session/session";
import { told } from "~/ui/Asked";
import { cx } from "~/ui/styles";
import { CHOICES, choose } from "~/ui/theme";
import { t } from "~/words/language";
import { plural } from "~/words/numbers";
import { mayLook, SCREENS } from "../screens";
import { type Command, lineOf, matching, moved, targetOf } from "./commands";

/** Opens the palette: a field that says how, and `/` and Ctrl-K anywhere. */
export function Palette() {
  const [open, setOpen] = useState(false);
  useEffect(() => {
    const pressed = (event: globalThis.KeyboardEvent) => {
      const byControl = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k";
      const bySlash = event.key === "/" && !isTyping(event.target) && !document.querySelector("[role=dialog]");
      if (!byControl && !bySlash) return;
      event.preventDefault();
      setOpen(true);
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, []);
  return (
    <Dialog.Root open={open} onOpenChange={setOpen}>
      <Dialog.Trigger
        aria-label={t("Search or go to…")}
        className="flex min-h-9 min-w-0 cursor-pointer items-center gap-2 rounded-md border bg-ground px-2 text-left text-soft max-sm:min-w-9 max-sm:justify-center sm:max-w-sm sm:flex-1"
      >
        <Search aria-hidden size={15} className="shrink-0" />
        <span className="min-w-0 flex-1 truncate max-sm:hidden">{t("Search or go to…")}</span>
        <kbd aria-hidden className="hidden rounded border px-1 font-mono text-[11px] sm:inline">
          /
        </kbd>
      </Dialog.Trigger>
      <Dialog.Portal>
        <Dialog.Overlay className="fixed inset-0 z-40 bg-black/50" />
        <Dialog.Content
          aria-describedby={undefined}
          className="-translate-x-1/2 fixed top-[8vh] left-1/2 z-50 flex max-h-[80vh] w-[min(680px,94vw)] flex-col rounded-lg border bg-panel shadow-xl"
        >
          <Dialog.Title className="sr-only">{t("Search, and commands")}</Dialog.Title>
          <Commands onDone={() => setOpen(false)} />
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function Commands({ onDone }: { onDone: () => void }) {
  const [typed, setTyped] = useState("");
  const [place, setPlace] = useState(0);
  const id = useId();
  const found = useFound(useDeferredValue(typed.trim()));
  const own = matching(useOwn(), typed);
  const lines = [...(found.data ?? []), ...own];
  const here = Math.min(place, Math.max(0, lines.length - 1));
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    list.current?.querySelector(`[data-place="${here}"]`)?.scrollIntoView({ block: "nearest" });
  }, [here]);
  const run = (command: Command | undefined) => {
    if (!command) return;
    onDone();
    command.run();
  };
  const pressed = (event: KeyboardEvent) => {
    const by = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (by !== 0) setPlace(moved(here, by, lines.length));
    else if (event.key === "Enter") run(lines[here]);
    else return;
    event.preventDefault();
  };
  return (
    <>
      <label className="flex items-center gap-2 border-b px-4 py-3">
        <Search aria-hidden size={17} className="shrink-0 text-soft" />
        <span className="sr-only">{t("Search")}</span>
        <input
          role="combobox"
          aria-expanded
          aria-controls={id}
          aria-activedescendant={lines.length > 0 ? `${id}-${here}` : undefined}
          value={typed}
          onChange={(event) => {
            setTyped(event.target.value);
            setPlace(0);
          }}
          onKeyDown={pressed}
          placeholder={t("Transaction, customer, merchant, amount, rule, list, case, page…")}
          className="w-full bg-transparent outline-none placeholder:text-soft"
        />
      </label>
      <p role="status" className="px-4 pt-2 text-soft text-xs">
        {status(typed, found, lines.length)}
      </p>
      <div ref={list} id={id} role="listbox" aria-label={t("Results")} tabIndex={-1} className="overflow-y-auto p-2">
        {lines.map((line, at) => (
          <div key={line.id}>
            {line.group !== lines[at - 1]?.group && (
              <p role="presentation" className="px-2 pt-2 pb-1 font-medium text-soft text-xs">
                {line.group}
              </p>
            )}
            {/* biome-ignore lint/a11y/useKeyWithClickEvents: the keys are those of the field, which keeps the focus */}
            <div
              id={`${id}-${at}`}
              data-place={at}
              role="option"
              tabIndex={-1}
              aria-selected={at === here}
              onClick={() => run(line)}
              onPointerMove={() => setPlace(at)}
              className={cx("flex cursor-pointer flex-col rounded-md px-2 py-1.5", at === here && "bg-raised")}
            >
              <span className="break-words font-medium">{line.title}</span>
              {line.about && <span className="truncate text-soft text-xs">{line.about}</span>}
            </div>
          </div>
        ))}
      </div>
    </>
  );
}

function status(typed: string, found: { isFetching: boolean; error: unknown }, lines: number): string {
  if (found.error) return told(found.error);
  if (found.isFetching) return t("Searching…");
  if (typed.trim() === "") return t("Type to search, or choose a page. ↑ ↓ to move, Enter to open, Esc to close.");
  return lines === 0 ? t("No results for “{value}”", { value: typed.trim() }) : plural(lines, "result");
}

/** What the service finds, as lines. */
function useFound(q: string) {
  const { detector } = useSearch({ from: "__root__" });
  const navigate = useNavigate();
  return useQuery({
    queryKey: ["search", q, detector],
    enabled: q !== "",
    queryFn: async ({ signal }) => say(await api.GET("/search", { params: { query: { q, detector } }, signal })),
    select: ({ hits }): Command[] =>
      hits.map((hit) => ({
        ...lineOf(hit),
        id: `${hit.kind} ${hit.detector} ${hit.entity ?? ""} ${hit.id}`,
        run: () => void navigate(targetOf(hit)),
      })),
  });
}

/** Pages and actions of whoever is here. */
function useOwn(): Command[] {
  const may = useMay();
  const navigate = useNavigate();
  const { data } = useSession();
  const { signOut } = useSigning();
  const pages = SCREENS.filter((screen) => mayLook(may, screen)).map((screen) => ({
    id: screen.path,
    group: "Pages",
    title: t("Go to {name}", { name: screen.name }),
    run: () => void navigate({ to: screen.path }),
  }));
  const rule = {
    id: "new rule",
    group: "Actions",
    title: t("Write a rule"),
    run: () => void navigate({ to: "/rules/new" }),
  };
  const themes = CHOICES.map((each) => ({
    id: `theme ${each}`,
    group: "Actions",
    title: each === "system" ? t("Use the theme of the system") : t("Use the {each} theme", { each }),
    run: () => choose(each),
  }));
  const docs = {
    id: "docs",
    group: "Actions",
    title: t("Open the API documentation"),
    run: () => void window.open(`${BASE}/docs`),
  };
  const leave = { id: "leave", group: "Actions", title: t("Sign out"), run: () => void signOut() };
  return [...pages, ...(may("author") ? [rule] : []), ...themes, docs, ...(data && !data.open ? [leave] : [])];
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || ["TEXTAREA", "SELECT", "INPUT"].includes(target.tagName);
}
