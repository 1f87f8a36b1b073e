import { useNavigate, useSearch } from "@tanstack/react-router";
import { oneOf } from "~/app/search";
import { Choice } from "~/ui/Choice";
import { Page } from "~/ui/Page";
import { Analysts } from "./Analysts";
import { ORDERS, STATES, WHOSE } from "./cases";
import { Desk } from "./Desk";
import { Queues } from "./Queues";
import { Workload } from "./Workload";

const VIEWS = [
  { value: "cases", name: "Cases" },
  { value: "analysts", name: "Analysts" },
  { value: "workload", name: "Workload" },
] as const;

/** Decisions that wait for a person, the most at stake first: looked at, held by one at a time, decided, the next. */
export function QueuePage() {
  const { view, queue, state, order, detector, whose } = useSearch({ from: "/queue" });
  const navigate = useNavigate();
  const show = VIEWS.find((each) => each.value === view)?.value ?? "cases";
  const set = (to: Record<string, string | undefined>) =>
    void navigate({ to: "/queue", search: (kept) => ({ ...kept, ...to }) });
  return (
    <Page
      title="Review queue"
      about="Sorted by expected loss (amount x fraud probability)."
      actions={
        <Choice
          label="View"
          options={VIEWS}
          value={show}
          onChange={(value) => set({ view: value === "cases" ? undefined : value })}
        />
      }
    >
      {show === "analysts" ? (
        <Analysts />
      ) : show === "workload" ? (
        <Workload />
      ) : (
        <>
          <Queues chosen={queue} />
          <Desk
            chosen={{
              queue,
              detector,
              state: oneOf(STATES, state) ?? "undecided",
              order: oneOf(ORDERS, order) ?? "expected_loss",
              whose: oneOf(WHOSE, whose) ?? "all",
            }}
            onFilter={(to) => set({ ...to, case: undefined })}
          />
        </>
      )}
    </Page>
  );
}
