import { type ReactNode, useEffect } from "react";
import { t } from "~/words/language";

interface Props {
  title: string;
  about?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}

/** A page: its heading, which is the document's title as well, what one can do, and its parts. */
export function Page({ title, about, actions, children }: Props) {
  useEffect(() => {
    document.title = t("{title} · Penstock", { title });
  }, [title]);
  return (
    <div className="mx-auto flex w-full max-w-[1500px] flex-col gap-4 p-4 lg:p-6">
      <header className="flex flex-wrap items-end gap-x-4 gap-y-2">
        <div className="min-w-0 flex-1 basis-112">
          <h1 className="break-words font-semibold text-xl">{title}</h1>
          {about && <p className="text-soft">{about}</p>}
        </div>
        {actions && <div className="flex flex-wrap items-center gap-2 print:hidden">{actions}</div>}
      </header>
      {children}
    </div>
  );
}
