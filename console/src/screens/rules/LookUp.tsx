import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, say } from "~/api/client";
import { told } from "~/ui/Asked";
import { Badge } from "~/ui/Badge";
import { Button } from "~/ui/Button";
import { TextField } from "~/ui/Field";
import { Panel } from "~/ui/Panel";
import { t } from "~/words/language";

/** On which lists a value is, or was. */
export function LookUp({ detector, onOpen }: { detector: string; onOpen: (list: string) => void }) {
  const [sought, setSought] = useState("");
  const found = useQuery({
    queryKey: ["lists", detector, "lookup", sought],
    enabled: sought !== "",
    queryFn: async ({ signal }) =>
      say(
        await api.GET("/detectors/{name}/lists/lookup", {
          params: { path: { name: detector }, query: { value: sought } },
          signal,
        }),
      ),
  });

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    setSought(String(new FormData(event.currentTarget).get("value")).trim());
  }

  return (
    <Panel>
      <form onSubmit={submit} className="flex flex-wrap items-end gap-3">
        <TextField
          label={t("On which lists is this value?")}
          name="value"
          maxLength={500}
          className="w-72 max-w-full"
        />
        <Button type="submit" busy={found.isFetching}>
          {t("Look up")}
        </Button>
        <p role="status" className="flex min-h-8 flex-wrap items-center gap-2">
          {found.isError && told(found.error)}
          {found.data?.lists.length === 0 && (
            <span className="text-soft">{t("{sought} is on no list, and never was.", { sought })}</span>
          )}
          {found.data?.lists.map((each) => (
            <button
              key={each.name}
              type="button"
              className="cursor-pointer text-accent hover:underline"
              onClick={() => onOpen(each.name)}
            >
              {each.name}{" "}
              <Badge tone={each.in_force ? "good" : "plain"}>{each.in_force ? t("on it") : t("was on it")}</Badge>
            </button>
          ))}
        </p>
      </form>
    </Panel>
  );
}
