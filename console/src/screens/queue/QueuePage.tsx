import { useNavigate, useSearch } from "@tanstack/react-router";
import { oneOf } from "~/app/search";
import { Choice } from "~/ui/Choice";
import { Page } from "~/ui/Page";
import { t } from "~/words/language";
import { Analysts } from "./Analysts";
import { ORDERS, type Order, STATES, WHOSE } from "./cases";
import { Desk } from "./Desk";
import { Queues } from "./Queues";
import { Workload } from "./Workload";

const VIEWS = [
  { value: "cases", name: t("Cases") },
  { value: "analysts", name: t("Analysts") },
  { value: "workload", name: t("Workload") },
] as const;

const ORDER_WORDS: Record<Order, string> = {
  expected_loss: t("Sorted by expected loss (amount x fraud probability)."),
  priority: t("Sorted by priority, then by expected loss."),
  due: t("Sorted by due time, the next one first."),
  oldest: t("Sorted by age, the oldest first."),
  newest: t("Sorted by age, the newest first."),
};

/** Decisions that wait for a person, the most at stake first: looked at, held by one at a time, decided, the next. */
export function QueuePage() {
  const { view, queue, state, order, detector, whose } = useSearch({ from: "/queue" });
  const navigate = useNavigate();
  const chosenOrder = oneOf(ORDERS, order) ?? "expected_loss";
  const show = VIEWS.find((each) => each.value === view)?.value ?? "cases";
  const set = (to: Record<string, string | undefined>) =>
    void navigate({ to: "/queue", search: (kept) => ({ ...kept, ...to }) });
  return (
    <Page
      title={t("Review queue")}
      about={show === "cases" ? ORDER_WORDS[chosenOrder] : undefined}
      actions={
        <Choice
          label={t("View")}
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
              order: chosenOrder,
              whose: oneOf(WHOSE, whose) ?? "all",
            }}
            onFilter={(to) => set({ ...to, case: undefined })}
          />
        </>
      )}
    </Page>
  );
}
