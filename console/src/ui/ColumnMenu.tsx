import { Columns3 } from "lucide-react";
import { DropdownMenu } from "radix-ui";
import { t } from "~/words/language";
import { buttonLook } from "./Button";
import { columnsText, type Layout, shownColumns } from "./layout";

export interface Choosable {
  id: string;
  name: string;
  /** Is not shown until somebody chooses it. */
  extra?: boolean;
}

interface Props {
  columns: readonly Choosable[];
  layout: Layout;
  onLayout: (changed: Layout) => void;
}

/** Which columns a table shows; its order and widths are chosen at its headings, and forgotten here. */
export function ColumnMenu({ columns, layout, onLayout }: Props) {
  const all = columns.map((each) => each.id);
  const usual = columns.filter((each) => !each.extra).map((each) => each.id);
  const shown = shownColumns(layout, all, usual);
  const toggle = (id: string) => {
    const next = all.filter((each) => (each === id ? !shown.includes(id) : shown.includes(each)));
    if (next.length > 0) onLayout({ ...layout, columns: columnsText(next, usual) });
  };
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger className={buttonLook()}>
        <Columns3 aria-hidden size={14} /> {t("Columns")}
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content
          align="end"
          sideOffset={6}
          className="z-50 min-w-48 rounded-lg border bg-panel p-2 shadow-xl"
        >
          {columns.map((each) => (
            <DropdownMenu.CheckboxItem
              key={each.id}
              checked={shown.includes(each.id)}
              onSelect={(event) => event.preventDefault()}
              onCheckedChange={() => toggle(each.id)}
              className={ITEM}
            >
              <span aria-hidden className="w-4">
                {shown.includes(each.id) && "✓"}
              </span>
              {each.name}
            </DropdownMenu.CheckboxItem>
          ))}
          <DropdownMenu.Separator className="my-1 border-t" />
          <DropdownMenu.Item
            onSelect={() => onLayout({ columns: undefined, sort: undefined, widths: undefined })}
            className={ITEM}
          >
            <span className="w-4" /> {t("Reset columns, order and widths")}
          </DropdownMenu.Item>
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

const ITEM =
  "flex cursor-pointer items-center gap-2 rounded-md px-2 py-1.5 outline-none data-[highlighted]:bg-raised data-[state=checked]:font-medium";
