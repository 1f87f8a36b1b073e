import { Select } from "~/ui/Field";
import { t } from "~/words/language";
import type { Chosen, Order, State, Whose } from "./cases";

const STATE_NAMES: Record<State, string> = {
  undecided: t("To do"),
  open: "Open",
  taken: "Held",
  escalated: "Escalated",
  decided: "Decided",
};

const ORDER_NAMES: Record<Order, string> = {
  expected_loss: t("Expected loss"),
  priority: "Priority",
  due: t("Due time"),
  oldest: "Oldest",
  newest: "Newest",
};

const WHOSE_NAMES: Record<Whose, string> = {
  all: t("All cases"),
  mine: t("Assigned to me"),
  mentions: t("Mentions me"),
  overdue: "Overdue",
};

interface Props {
  chosen: Chosen;
  onFilter: (to: { state?: State; order?: Order; whose?: Whose }) => void;
}

/** Which cases are listed, and which come first. */
export function Filters({ chosen, onFilter }: Props) {
  return (
    <>
      <One
        label={t("Whose")}
        names={WHOSE_NAMES}
        value={chosen.whose}
        onChange={(whose) => onFilter({ whose: whose as Whose })}
      />
      <One
        label={t("State")}
        names={STATE_NAMES}
        value={chosen.state}
        onChange={(state) => onFilter({ state: state as State })}
      />
      <One
        label={t("Order")}
        names={ORDER_NAMES}
        value={chosen.order}
        onChange={(order) => onFilter({ order: order as Order })}
      />
    </>
  );
}

interface OneProps {
  label: string;
  names: Record<string, string>;
  value: string;
  onChange: (to: string) => void;
}

function One({ label, names, value, onChange }: OneProps) {
  return (
    <Select label={label} hidden value={value} onChange={(event) => onChange(event.target.value)}>
      {Object.entries(names).map(([each, name]) => (
        <option key={each} value={each}>
          {name}
        </option>
      ))}
    </Select>
  );
}
