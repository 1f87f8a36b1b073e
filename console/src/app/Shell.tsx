import { Link, Navigate, Outlet, useLocation, useMatches, useNavigate, useSearch } from "@tanstack/react-router";
import { Menu as MenuIcon } from "lucide-react";
import { DropdownMenu } from "radix-ui";
import { type ReactNode, Suspense } from "react";
import { BASE } from "~/api/client";
import { useDetectors } from "~/api/detectors";
import { useLink } from "~/live/useLive";
import { SignIn } from "~/session/SignIn";
import { useMay, useSession } from "~/session/session";
import { Empty, Failed, Waiting } from "~/ui/Asked";
import { Badge } from "~/ui/Badge";
import { Page } from "~/ui/Page";
import { SaidCorner } from "~/ui/said";
import { cx } from "~/ui/styles";
import { t } from "~/words/language";
import { useTimeZone } from "~/words/zones";
import { Account } from "./Account";
import { Palette } from "./palette/Palette";
import { mayLook, SCREENS, screenOf } from "./screens";

/** The frame around every page: who is here, where one can go, whether the feed is alive. Without a session: the sign-in. */
export function Shell() {
  const session = useSession();
  const zone = useTimeZone(); // pages are made anew in another
  if (session.isError) return <Failed error={session.error} again={() => void session.refetch()} />;
  if (session.data === undefined) return <div className="min-h-screen" />;
  if (session.data.sign_in.needed) return <SignIn oidc={session.data.sign_in.oidc} />;
  return (
    <div className="flex min-h-screen">
      <button
        type="button"
        onClick={() => document.getElementById("main")?.focus()}
        className="sr-only focus:not-sr-only focus:absolute focus:z-50 focus:bg-panel focus:p-2"
      >
        {t("To the content")}
      </button>
      <Menu />
      <div className="flex min-w-0 flex-1 flex-col">
        <Top />
        <main id="main" tabIndex={-1} className="min-w-0 flex-1 outline-none">
          <Suspense fallback={<Waiting height={400} />}>
            <Allowed key={zone}>
              <Outlet />
            </Allowed>
          </Suspense>
        </main>
      </div>
      <SaidCorner />
    </div>
  );
}

/** The page, where who is here may look at it; else which they may. */
function Allowed({ children }: { children: ReactNode }) {
  const may = useMay();
  // Of the page that is shown: the location is that of the next one as soon as somebody goes there.
  const path = useMatches({ select: (matches) => matches.at(-1)?.fullPath ?? "/" });
  const screen = screenOf(path);
  if (!screen || mayLook(may, screen)) return children;
  const others = SCREENS.filter((each) => mayLook(may, each));
  if (path === "/" && others[0]) return <Navigate to={others[0].path} replace />;
  return (
    <Page title={t("Access denied")}>
      <Empty title={t("Your roles do not let you look at {name}", { name: screen.name })}>
        {others.length === 0 && t("Your role has no access to the console.")}
        {others.map((each) => (
          <Link key={each.path} to={each.path} className="mx-1 text-accent underline">
            {each.name}
          </Link>
        ))}
      </Empty>
    </Page>
  );
}

/** The menu of a wide screen: a column at the left. */
function Menu() {
  return (
    <div className="hidden w-48 shrink-0 border-r bg-panel lg:block print:hidden">
      <nav aria-label={t("Pages")} className="sticky top-0 flex max-h-screen flex-col gap-1 overflow-y-auto p-3">
        <Link to="/" className="mb-3 flex items-center gap-2 px-2 py-1.5 font-semibold text-base">
          <img src={`${BASE}/icon.svg`} alt="" width={26} height={26} />
          {t("Penstock")}
        </Link>
        {useScreens().map((screen) => (
          <Link
            key={screen.path}
            to={screen.path}
            activeOptions={{ exact: screen.path === "/", includeSearch: false }}
            activeProps={{ className: "bg-raised text-ink font-medium shadow-[inset_3px_0_0_var(--accent)]" }}
            inactiveProps={{ className: "text-soft hover:bg-raised hover:text-ink" }}
            className="flex items-center gap-2 whitespace-nowrap rounded-md px-2.5 py-2"
          >
            <screen.icon aria-hidden size={17} />
            {screen.name}
          </Link>
        ))}
      </nav>
    </div>
  );
}

/** The menu of a phone: a button that names the page one is on. */
function PhoneMenu() {
  const here = screenOf(useLocation({ select: (location) => location.pathname }));
  const screens = useScreens();
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger
        aria-label={`Menu, at ${here?.name ?? t("no page")}`}
        className="flex min-h-10 min-w-0 cursor-pointer items-center gap-2 rounded-md px-2 font-semibold hover:bg-raised lg:hidden"
      >
        <MenuIcon aria-hidden size={18} className="shrink-0" />
        <span className="truncate">{here?.name ?? "Penstock"}</span>
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content
          align="start"
          sideOffset={6}
          collisionPadding={8}
          className="z-50 w-[min(20rem,92vw)] rounded-lg border bg-panel p-2 shadow-xl lg:hidden"
        >
          {screens.map((screen) => (
            <DropdownMenu.Item key={screen.path} asChild>
              <Link
                to={screen.path}
                aria-current={screen === here ? "page" : undefined}
                className={cx(
                  "flex items-center gap-3 rounded-md px-3 py-2.5 outline-none data-[highlighted]:bg-raised",
                  screen === here ? "bg-raised font-medium shadow-[inset_3px_0_0_var(--accent)]" : "text-soft",
                )}
              >
                <screen.icon aria-hidden size={18} />
                {screen.name}
              </Link>
            </DropdownMenu.Item>
          ))}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

/** The screens that who is here may look at. */
function useScreens() {
  const may = useMay();
  return SCREENS.filter((screen) => mayLook(may, screen));
}

function Top() {
  return (
    <header className="flex items-center gap-2 border-b bg-panel px-2 py-2 sm:px-4 lg:px-6 print:hidden">
      <PhoneMenu />
      {useMay()("read") && (
        <>
          <Palette />
          <ChooseDetector />
        </>
      )}
      <div className="ml-auto flex shrink-0 items-center gap-1 sm:gap-3">
        <LinkState />
        <Account />
      </div>
    </header>
  );
}

function ChooseDetector() {
  const { data } = useDetectors();
  const { detector } = useSearch({ from: "__root__" });
  const navigate = useNavigate();
  if (!data || data.length < 2) {
    return data?.[0] ? (
      <span className="max-sm:hidden">
        <Badge>{data[0].name}</Badge>
      </span>
    ) : null;
  }
  return (
    <label className="flex min-w-0 items-center gap-2 text-soft text-xs">
      <span className="max-sm:sr-only">{t("Detector")}</span>
      <select
        value={detector ?? ""}
        onChange={(event) =>
          void navigate({ to: ".", search: (kept) => ({ ...kept, detector: event.target.value || undefined }) })
        }
        className="min-w-0 rounded-md border bg-panel px-2 py-1 text-ink text-sm"
      >
        <option value="">{t("all")}</option>
        {data.map((each) => (
          <option key={each.name}>{each.name}</option>
        ))}
      </select>
    </label>
  );
}

const LINKS = {
  connecting: { tone: "plain", text: "connecting" },
  live: { tone: "good", text: t("● live") },
  lost: { tone: "bad", text: t("○ reconnecting") },
} as const;

/** Only pages that watch open the feed; elsewhere there is no link to speak of. */
function LinkState() {
  const link = useLink();
  return (
    <span role="status" data-link={link}>
      {link !== "connecting" && <Badge tone={LINKS[link].tone}>{LINKS[link].text}</Badge>}
    </span>
  );
}
