import { type FormEvent, useState } from "react";
import { BASE } from "~/api/client";
import { told } from "~/ui/Asked";
import { Button } from "~/ui/Button";
import { TextField } from "~/ui/Field";
import { t } from "~/words/language";
import { useSigning } from "./session";

/** Name and password, or the organisation's account where the service knows one. */
export function SignIn({ oidc }: { oidc: boolean }) {
  const { signIn } = useSigning();
  const [wrong, setWrong] = useState<string>();
  const [busy, setBusy] = useState(false);

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    setBusy(true);
    setWrong(undefined);
    try {
      await signIn(String(given.get("name")), String(given.get("password")));
    } catch (error) {
      setWrong(told(error));
    } finally {
      setBusy(false);
    }
  }

  return (
    <main className="grid min-h-screen place-items-center p-4">
      <form
        onSubmit={submit}
        aria-labelledby="sign-in"
        className="flex w-[min(380px,94vw)] flex-col gap-3 rounded-lg border bg-panel p-6"
      >
        <h1 id="sign-in" className="flex items-center gap-2 font-semibold text-lg">
          <img src={`${BASE}/icon.svg`} alt="" width={26} height={26} /> {t("Sign in to Penstock")}
        </h1>
        <p className="text-soft">{t("Sign in to continue.")}</p>
        <TextField label={t("Name")} name="name" autoComplete="username" required maxLength={100} />
        <TextField
          label={t("Password")}
          name="password"
          type="password"
          autoComplete="current-password"
          required
          maxLength={1024}
        />
        <p role="alert" className="min-h-5 text-block">
          {wrong}
        </p>
        <Button look="main" type="submit" busy={busy}>
          {t("Sign in")}
        </Button>
        {oidc && (
          <a href={`${BASE}/session/oidc`} className="text-center text-accent underline">
            {t("Sign in with your organisation's account")}
          </a>
        )}
      </form>
    </main>
  );
}
