import { useSession } from "~/session/session";
import { t } from "~/words/language";
import { Keys } from "./Keys";
import { Users } from "./Users";

/** Who is let in: people with a password, people from elsewhere, and programs with a key. */
export function AccessTab() {
  const { data } = useSession();
  return (
    <>
      {data?.open && (
        <p className="rounded-lg border border-review bg-review-tint px-4 py-3 text-review">
          {t(
            "Authentication is off. Create the first administrator to require sign-in for everyone, including you: from then on everyone signs in, and so do you.",
          )}
        </p>
      )}
      <Users />
      <Keys />
    </>
  );
}
