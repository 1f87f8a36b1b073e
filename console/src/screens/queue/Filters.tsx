import { Select } from "~/ui/Field";
import type { Chosen, Order, State } from "./cases";

const STATE_NAMES: Record<State, string> = {
  undecided: "To do",
  open: "Open",
  taken: "Held",
  escalated: "Escalated",
  decided: "Decided",
};

const ORDER_NAMES: Record<Order, string> = { expected_loss: "Expected loss", oldest: "Oldest", newest: "Newest" };

/** Which cases are listed, and which come first. */
export function Filters({ chosen, onFilter }: { chosen: Chosen; onFilter: (state: State, order: Order) => void }) {
  return (
    <>
      <Select
        label="State"
        hidden
        value={chosen.state}
        onChange={(event) => onFilter(event.target.value as State, chosen.order)}
      >
        {Object.entries(STATE_NAMES).map(([value, name]) => (
          <option key={value} value={value}>
            {name}
          </option>
        ))}
      </Select>
      <Select
        label="Order"
        hidden
        value={chosen.order}
        onChange={(event) => onFilter(chosen.state, event.target.value as Order)}
      >
        {Object.entries(ORDER_NAMES).map(([value, name]) => (
          <option key={value} value={value}>
            {name}
          </option>
        ))}
      </Select>
    </>
  );
}
