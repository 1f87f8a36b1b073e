import { Dialog } from "radix-ui";
import type { ReactNode } from "react";
import { t } from "~/words/language";
import { Button } from "./Button";

interface Props {
  open: boolean;
  onClose: () => void;
  title: string;
  about?: ReactNode;
  children?: ReactNode;
  /** The buttons besides "Cancel". */
  actions?: ReactNode;
}

/** A question before something happens: what it will touch, and a way back. Escape closes; the focus stays inside. */
export function Ask({ open, onClose, title, about, children, actions }: Props) {
  return (
    <Dialog.Root open={open} onOpenChange={(now) => !now && onClose()}>
      <Dialog.Portal>
        <Dialog.Overlay className="fixed inset-0 z-40 bg-black/50" />
        <Dialog.Content
          aria-describedby={about ? undefined : ""}
          className="-translate-x-1/2 -translate-y-1/2 fixed top-1/2 left-1/2 z-50 flex max-h-[90vh] w-[min(640px,94vw)] flex-col gap-3 overflow-y-auto rounded-lg border bg-panel p-5 shadow-xl"
        >
          <Dialog.Title className="font-semibold text-lg">{title}</Dialog.Title>
          {about && <Dialog.Description className="text-soft">{about}</Dialog.Description>}
          {children}
          <div className="flex flex-wrap justify-end gap-2 pt-2">
            <Button onClick={onClose}>{actions ? t("Cancel") : t("Close")}</Button>
            {actions}
          </div>
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
