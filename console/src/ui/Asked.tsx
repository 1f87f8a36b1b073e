import type { UseQueryResult } from "@tanstack/react-query";
import { CircleAlert, Inbox } from "lucide-react";
import type { ReactNode } from "react";
import { ApiProblem } from "~/api/client";
import { t } from "~/words/language";
import { Button } from "./Button";

/** Nothing is there: what would be, and what makes it appear. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="flex flex-col items-center gap-1 px-4 py-8 text-center text-soft">
      <Inbox aria-hidden size={24} />
      <p className="font-medium text-ink">{title}</p>
      {children && <div className="max-w-prose">{children}</div>}
    </div>
  );
}

/** It could not be had: why, in the service's words, and a way to ask again. */
export function Failed({ error, again }: { error: unknown; again?: () => void }) {
  return (
    <div role="alert" className="flex flex-col items-center gap-2 px-4 py-8 text-center">
      <CircleAlert aria-hidden size={24} className="text-block" />
      <p className="max-w-prose">{told(error)}</p>
      {again && <Button onClick={again}>{t("Try again")}</Button>}
    </div>
  );
}

/** An error in words. */
export function told(error: unknown): string {
  if (error instanceof ApiProblem) {
    const fields = error.errors.map((each) => (each.field ? `${each.field}: ${each.message}` : each.message));
    return fields.length && !fields.some((each) => error.detail.includes(each))
      ? `${error.detail}: ${fields.join("; ")}`
      : error.detail;
  }
  if (error instanceof TypeError) return t("The service does not answer. It may be restarting.");
  return error instanceof Error ? error.message : String(error);
}

/** A place that is kept for what comes, of the height it will have. */
export function Waiting({ height = 120 }: { height?: number }) {
  return (
    <div role="status" aria-label={t("Loading")} className="animate-pulse rounded-md bg-raised" style={{ height }}>
      <span className="sr-only">{t("Loading")}</span>
    </div>
  );
}

interface Props<T> {
  of: UseQueryResult<T>;
  /** The height that the loaded content will have about, so that nothing moves. */
  height?: number;
  empty?: (data: T) => ReactNode | false;
  children: (data: T) => ReactNode;
}

/** What was asked for: while it loads, when it fails, when there is nothing, and when it is there. */
export function Asked<T>({ of, height, empty, children }: Props<T>) {
  if (of.data !== undefined) {
    const nothing = empty?.(of.data);
    return <>{nothing || children(of.data)}</>;
  }
  if (of.isError) return <Failed error={of.error} again={() => void of.refetch()} />;
  return <Waiting height={height} />;
}
