import { BookOpen, Clock, KeyRound, LogOut, UserRound } from "lucide-react";
import { DropdownMenu } from "radix-ui";
import { useState } from "react";
import { BASE } from "~/api/client";
import { useSession, useSigning } from "~/session/session";
import { Badge } from "~/ui/Badge";
import { CHOICES, choose, useChoice } from "~/ui/theme";
import { chooseLanguage, LANGUAGES, type Language, language, t } from "~/words/language";
import { words } from "~/words/numbers";
import { useTimeZone, zone } from "~/words/zones";
import { ChangePassword, ChooseZone } from "./AccountDialogs";

const ITEM =
  "flex cursor-pointer items-center gap-2 rounded-md px-2 py-1.5 outline-none data-[highlighted]:bg-raised data-[state=checked]:font-semibold";
const HEADING = "px-2 pt-2 pb-1 text-soft text-xs";

/** Who is here, and what is theirs to choose: theme, time zone, password, documentation, the way out. */
export function Account() {
  const { data } = useSession();
  const { signOut } = useSigning();
  const chosen = useChoice();
  useTimeZone();
  const [asking, ask] = useState<"zone" | "password">();
  if (!data) return null;
  return (
    <DropdownMenu.Root modal={false}>
      {asking === "zone" && <ChooseZone onClose={() => ask(undefined)} />}
      {asking === "password" && <ChangePassword name={data.name} onClose={() => ask(undefined)} />}
      {data.open && (
        <span title={data.notice ?? undefined} className="max-sm:hidden">
          <Badge tone="warn">{t("No authentication")}</Badge>
        </span>
      )}
      <DropdownMenu.Trigger
        aria-label={t("Account and settings")}
        className="flex min-h-8 cursor-pointer items-center gap-1.5 rounded-md px-2 hover:bg-raised"
      >
        <UserRound aria-hidden size={16} /> {data.open ? "" : data.name}
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content
          align="end"
          sideOffset={6}
          className="z-50 min-w-60 rounded-lg border bg-panel p-2 shadow-xl"
        >
          <DropdownMenu.Label className={HEADING}>
            {data.open ? t("Everyone who reaches this address may do everything") : data.roles.map(words).join(", ")}
          </DropdownMenu.Label>
          <DropdownMenu.Separator className="my-1 border-t" />
          <DropdownMenu.Label className={HEADING}>{t("Theme")}</DropdownMenu.Label>
          <DropdownMenu.RadioGroup value={chosen}>
            {CHOICES.map((each) => (
              <DropdownMenu.RadioItem key={each} value={each} onSelect={() => choose(each)} className={ITEM}>
                <span aria-hidden className="w-4">
                  {each === chosen ? "✓" : ""}
                </span>
                {each === "system" ? t("System") : each === "light" ? t("Light") : t("Dark")}
              </DropdownMenu.RadioItem>
            ))}
          </DropdownMenu.RadioGroup>
          <DropdownMenu.Separator className="my-1 border-t" />
          <DropdownMenu.Label className={HEADING}>{t("Language")}</DropdownMenu.Label>
          <DropdownMenu.RadioGroup value={language()}>
            {(Object.keys(LANGUAGES) as Language[]).map((each) => (
              <DropdownMenu.RadioItem
                key={each}
                value={each}
                lang={each}
                onSelect={() => chooseLanguage(each)}
                className={ITEM}
              >
                <span aria-hidden className="w-4">
                  {each === language() ? "✓" : ""}
                </span>
                {LANGUAGES[each]}
              </DropdownMenu.RadioItem>
            ))}
          </DropdownMenu.RadioGroup>
          <DropdownMenu.Separator className="my-1 border-t" />
          <DropdownMenu.Label className={HEADING}>{t("Times are in {zone}", { zone: zone() })}</DropdownMenu.Label>
          <DropdownMenu.Item onSelect={() => ask("zone")} className={ITEM}>
            <Clock aria-hidden size={15} /> {t("Time zone…")}
          </DropdownMenu.Item>
          <DropdownMenu.Separator className="my-1 border-t" />
          {!data.open && !data.name.startsWith("oidc:") && (
            <DropdownMenu.Item onSelect={() => ask("password")} className={ITEM}>
              <KeyRound aria-hidden size={15} /> {t("Change password…")}
            </DropdownMenu.Item>
          )}
          <DropdownMenu.Item asChild>
            <a href={`${BASE}/docs`} target="_blank" rel="noreferrer" className={ITEM}>
              <BookOpen aria-hidden size={15} /> {t("API documentation")}
            </a>
          </DropdownMenu.Item>
          {!data.open && (
            <DropdownMenu.Item onSelect={() => void signOut()} className={ITEM}>
              <LogOut aria-hidden size={15} /> {t("Sign out")}
            </DropdownMenu.Item>
          )}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}
