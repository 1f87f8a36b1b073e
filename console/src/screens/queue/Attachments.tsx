import { Paperclip, Trash2 } from "lucide-react";
import { useState } from "react";
import { api, BASE, fetchJson, type Schemas, say } from "~/api/client";
import { useWork } from "~/api/work";
import { useMay } from "~/session/session";
import { Ask } from "~/ui/Ask";
import { Button } from "~/ui/Button";
import { FileButton } from "~/ui/FileButton";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { fileSize } from "~/words/numbers";
import type { Case } from "./outbox";

type Attachment = Schemas["AttachmentForm"];

const MOST_BYTES = 5_000_000;

/** The files of a case: saved by a click, added, and removed by who added them or an administrator. */
export function Attachments({
  of: { id: of, detector },
  files,
  me,
}: {
  of: Case;
  files: readonly Attachment[];
  me: string;
}) {
  const may = useMay(detector);
  const work = useWork(["case", of]);
  const [removing, setRemoving] = useState<Attachment>();
  if (!may("review") && files.length === 0) return null;
  const path = `/cases/${encodeURIComponent(of)}/attachments`;

  async function add(file: File): Promise<string> {
    if (file.size > MOST_BYTES)
      throw new Error(t("{name} has {size}; a file may have 5 MB.", { name: file.name, size: fileSize(file.size) }));
    await fetchJson(`${path}?name=${encodeURIComponent(file.name)}`, {
      method: "POST",
      headers: { "content-type": "application/octet-stream" },
      body: file,
    });
    return t("{name} attached.", { name: file.name });
  }

  async function remove({ id, name }: Attachment): Promise<string> {
    const params = { path: { case_id: of, attachment_id: id } };
    say(await api.DELETE("/cases/{case_id}/attachments/{attachment_id}", { params }));
    return t("{name} removed.", { name });
  }

  return (
    <section aria-label={t("Files")} className="flex flex-col items-start gap-2">
      <h3 className="font-semibold">{t("Files")}</h3>
      {files.length > 0 && (
        <ul className="flex w-full flex-col gap-1">
          {files.map((file) => (
            <li key={file.id} className="flex flex-wrap items-center gap-x-3">
              <Paperclip aria-hidden size={14} className="text-soft" />
              {may("review") ? (
                <a
                  href={`${BASE}${path}/${file.id}`}
                  download={file.name}
                  className="break-all text-accent hover:underline"
                >
                  {file.name}
                </a>
              ) : (
                <span className="break-all">{file.name}</span>
              )}
              <span className="text-soft">
                {fileSize(file.size)}, {file.added_by}, <Time at={file.added_at} />
              </span>
              {(may("administer") || (may("review") && file.added_by === me)) && (
                <Button
                  look="quiet"
                  className="ml-auto"
                  aria-label={t("Remove {name}", { name: file.name })}
                  onClick={() => setRemoving(file)}
                >
                  <Trash2 aria-hidden size={14} />
                </Button>
              )}
            </li>
          ))}
        </ul>
      )}
      {may("review") && (
        <FileButton name={t("Attach a file")} accept="" onChoose={(file) => work.mutate(() => add(file))} />
      )}
      <Ask
        open={removing !== undefined}
        onClose={() => setRemoving(undefined)}
        title={t("Remove {name}", { name: removing?.name })}
        about={t("The file is deleted. The history keeps its name and hash.")}
        actions={
          <Button
            look="danger"
            onClick={() => {
              if (removing) work.mutate(() => remove(removing));
              setRemoving(undefined);
            }}
          >
            {t("Remove")}
          </Button>
        }
      />
    </section>
  );
}
