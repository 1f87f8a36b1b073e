import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Bookmark, Trash2 } from "lucide-react";
import { DropdownMenu } from "radix-ui";
import { useState } from "react";
import { api, say } from "~/api/client";
import { EVERYWHERE, useMay, useSession } from "~/session/session";
import { told } from "~/ui/Asked";
import { buttonLook } from "~/ui/Button";
import { TextField } from "~/ui/Field";
import { FormDialog, part } from "~/ui/FormDialog";
import { sayDone } from "~/ui/said";
import { t } from "~/words/language";

const KEY = ["views"];
const ITEM = "flex cursor-pointer items-center gap-2 rounded-md px-2 py-1.5 outline-none data-[highlighted]:bg-raised";

/** The saved views of a page: each is its address under a name, with filters, columns and order; one's own or shared. */
export function Views({ page }: { page: "/transactions" | "/rules" }) {
  const [saving, setSaving] = useState(false);
  const navigate = useNavigate();
  const { data: session } = useSession();
  const may = useMay(EVERYWHERE);
  const queries = useQueryClient();
  const found = useQuery({ queryKey: KEY, queryFn: async () => say(await api.GET("/views")).views });
  const own = found.data?.filter((each) => each.page === page) ?? [];
  const remove = useMutation({
    mutationFn: async (id: string) => say(await api.DELETE("/views/{id}", { params: { path: { id } } })),
    onError: (error) => sayDone(told(error), { bad: true }),
    onSettled: () => queries.invalidateQueries({ queryKey: KEY }),
  });
  return (
    <>
      <DropdownMenu.Root modal={false}>
        <DropdownMenu.Trigger className={buttonLook()}>
          <Bookmark aria-hidden size={14} /> {t("Views")}
        </DropdownMenu.Trigger>
        <DropdownMenu.Portal>
          <DropdownMenu.Content
            align="end"
            sideOffset={6}
            className="z-50 min-w-64 rounded-lg border bg-panel p-2 shadow-xl"
          >
            {own.length === 0 && <p className="px-2 py-1.5 text-soft">{t("No saved view of this page")}</p>}
            {own.map((view) => (
              <div key={view.id} className="flex items-center">
                <DropdownMenu.Item
                  onSelect={() => void navigate({ to: page, search: view.search })}
                  className={`${ITEM} min-w-0 flex-1`}
                >
                  <span className="min-w-0 flex-1 truncate">{view.name}</span>
                  {view.shared && (
                    <span className="text-soft text-xs">{t("shared by {owner}", { owner: view.owner })}</span>
                  )}
                </DropdownMenu.Item>
                {(view.owner === session?.name || (view.shared && may("administer"))) && (
                  <DropdownMenu.Item
                    aria-label={t("Remove the view {name}", { name: view.name })}
                    onSelect={(event) => {
                      event.preventDefault();
                      remove.mutate(view.id);
                    }}
                    className={`${ITEM} text-soft`}
                  >
                    <Trash2 aria-hidden size={14} />
                  </DropdownMenu.Item>
                )}
              </div>
            ))}
            <DropdownMenu.Separator className="my-1 border-t" />
            <DropdownMenu.Item onSelect={() => setSaving(true)} className={ITEM}>
              {t("Save this view…")}
            </DropdownMenu.Item>
          </DropdownMenu.Content>
        </DropdownMenu.Portal>
      </DropdownMenu.Root>
      {saving && <SaveView page={page} onClose={() => setSaving(false)} />}
    </>
  );
}

function SaveView({ page, onClose }: { page: string; onClose: () => void }) {
  const queries = useQueryClient();
  const may = useMay(EVERYWHERE);
  const search = Object.entries(useSearch({ strict: false }))
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [name, String(value)]);
  return (
    <FormDialog
      title={t("Save this view")}
      about={t("Filters, columns and order of this page. A view of yours with the same name is replaced.")}
      action={t("Save view")}
      onClose={onClose}
      onSubmit={async (given) => {
        const name = part(given, "name") ?? "";
        const path = given.get("shared") === "on" ? "/views/shared" : "/views";
        say(await api.POST(path, { body: { page, name, search: Object.fromEntries(search) } }));
        await queries.invalidateQueries({ queryKey: KEY });
        sayDone(t("The view {name} is saved.", { name }));
      }}
    >
      <TextField label={t("Name")} name="name" required maxLength={80} autoFocus />
      {(may("author") || may("approve") || may("administer")) && (
        <label className="flex items-center gap-2">
          <input type="checkbox" name="shared" className="accent-(--accent)" /> {t("Share with everybody")}
        </label>
      )}
    </FormDialog>
  );
}
