import { Link, Outlet, useLocation, useNavigate, useSearch } from "@tanstack/react-router";
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
import { Account } from "./Account";
import { Palette } from "./palette/Palette";
import { mayLook, SCREENS, screenOf } from "./screens";

/** The frame around every page: who is here, where one can go, whether the feed is alive. Without a session: the sign-in. */
export function Shell() {
  const session = useSession();
  if (session.isError) return <Failed error={session.error} again={() => void session.refetch()} />;
  if (session.data === undefined) return <div className="min-h-screen" />;
  if (session.data.sign_in.needed) return <SignIn oidc={session.data.sign_in.oidc} />;
  return (
    <div className="flex min-h-screen flex-col lg:flex-row">
      <button
        type="button"
        onClick={() => document.getElementById("main")?.focus()}
        className="sr-only focus:not-sr-only focus:absolute focus:z-50 focus:bg-panel focus:p-2"
      >
        To the content
      </button>
      <Menu />
      <div className="flex min-w-0 flex-1 flex-col">
        <Top />
        <main id="main" tabIndex={-1} className="min-w-0 flex-1 outline-none">
          <Suspense fallback={<Waiting height={400} />}>
            <Allowed>
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
  const path = useLocation({ select: (location) => location.pathname });
  const screen = screenOf(path);
  if (!screen || mayLook(may, screen)) return children;
  const others = SCREENS.filter((each) => mayLook(may, each));
  return (
    <Page title="Access denied">
      <Empty title={`Your roles do not let you look at ${screen.name}`}>
        {others.length === 0 && "Your role has no access to the console."}
        {others.map((each) => (
          <Link key={each.path} to={each.path} className="mx-1 text-accent underline">
            {each.name}
          </Link>
        ))}
      </Empty>
    </Page>
  );
}

function Menu() {
  const may = useMay();
  return (
    <nav
      aria-label="Pages"
      className="flex shrink-0 items-center gap-1 overflow-x-auto border-b bg-panel px-2 py-1 lg:sticky lg:top-0 lg:h-screen lg:w-48 lg:flex-col lg:items-stretch lg:border-r lg:border-b-0 lg:p-3"
    >
      <Link to="/" className="flex items-center gap-2 px-2 py-1.5 font-semibold text-base lg:mb-3">
        <img src={`${BASE}/icon.svg`} alt="" width={26} height={26} />
        <span className="max-lg:sr-only">Penstock</span>
      </Link>
      {SCREENS.filter((screen) => mayLook(may, screen)).map((screen) => (
        <Link
          key={screen.path}
          to={screen.path}
          activeOptions={{ exact: screen.path === "/", includeSearch: false }}
          activeProps={{
            className: "bg-raised text-ink font-medium shadow-[inset_3px_0_0_var(--accent)] max-lg:shadow-none",
          }}
          inactiveProps={{ className: "text-soft hover:bg-raised hover:text-ink" }}
          className="flex items-center gap-2 whitespace-nowrap rounded-md px-2.5 py-2"
        >
          <screen.icon aria-hidden size={17} />
          {screen.name}
        </Link>
      ))}
    </nav>
  );
}

function Top() {
  return (
    <header className="flex flex-wrap items-center gap-2 border-b bg-panel px-4 py-2 lg:px-6">
      {useMay()("read") && (
        <>
          <Palette />
          <ChooseDetector />
        </>
      )}
      <div className="ml-auto flex items-center gap-3">
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
  if (!data || data.length < 2) return data?.[0] ? <Badge>{data[0].name}</Badge> : null;
  return (
    <label className="flex items-center gap-2 text-soft text-xs">
      Detector
      <select
        value={detector ?? ""}
        onChange={(event) =>
          void navigate({ to: ".", search: (kept) => ({ ...kept, detector: event.target.value || undefined }) })
        }
        className="rounded-md border bg-panel px-2 py-1 text-ink text-sm"
      >
        <option value="">all</option>
        {data.map((each) => (
          <option key={each.name}>{each.name}</option>
        ))}
      </select>
    </label>
  );
}

const LINKS = {
  connecting: { tone: "plain", text: "connecting" },
  live: { tone: "good", text: "● live" },
  lost: { tone: "bad", text: "○ connection lost, trying again" },
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
