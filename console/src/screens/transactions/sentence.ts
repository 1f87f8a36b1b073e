/** A transaction in words: who paid whom, how much, and where. */

import type { Context } from "~/api/transactions";
import { t } from "~/words/language";
import { money } from "~/words/numbers";

type Headed = Pick<Context, "amount" | "currency" | "named" | "transaction_id">;

/** "C947 paid $37.08 to M7"; what is not known is left out, and where nothing is, it is called by its id. */
export function sentence({ amount, currency, named, transaction_id }: Headed): string {
  const of = (role: string) => named.find((each) => each.role === role)?.value;
  const [payer, payee] = [of("payer"), of("payee")];
  const worth = amount === null ? null : money(amount, currency);
  if (worth === null)
    return [payer, payee].filter(Boolean).join(" → ") || t("Transaction {transaction_id}", { transaction_id });
  return [payer, payer ? t("paid {worth}", { worth }) : worth, payee && t("to {payee}", { payee })]
    .filter(Boolean)
    .join(" ");
}

/** Further fields of the headline, and the place where it has one: "Lagos · 6.52° N, 3.38° E · ". */
export function where({ named, places }: Pick<Context, "named" | "places">): string {
  const details = named.filter((each) => each.role === "detail").map((each) => each.value);
  const place = places.find((each) => each.name === "transaction") ?? places[0];
  const parts = place ? [...details, degrees(place)] : details;
  return parts.map((part) => `${part} · `).join("");
}

function degrees({ latitude, longitude }: { latitude: number; longitude: number }): string {
  const north = `${Math.abs(latitude).toFixed(2)}° ${latitude < 0 ? "S" : "N"}`;
  return `${north}, ${Math.abs(longitude).toFixed(2)}° ${longitude < 0 ? "W" : "E"}`;
}
