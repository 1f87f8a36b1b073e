import { getRouteApi } from "@tanstack/react-router";
import { useMemo } from "react";
import type { Definition } from "~/api/definition";
import { oneOf } from "~/app/search";
import { Empty } from "~/ui/Asked";
import { Select, TextField } from "~/ui/Field";
import { Panel } from "~/ui/Panel";
import { t } from "~/words/language";
import { FeatureDetail } from "./FeatureDetail";
import { FeatureTable } from "./FeatureTable";
import { filtered, KINDS } from "./filters";

const route = getRouteApi("/features");

/** Every feature that is computed now, found by name, entity or kind; the chosen one in full. */
export function FeatureList({ detector, definition }: { detector: string; definition: Definition }) {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { features, entities } = definition;
  const shown = useMemo(() => filtered(features, { ...search, kind: oneOf(KINDS, search.kind) }), [features, search]);
  const chosen = features.find((each) => each.name === search.feature);
  return (
    <Panel
      title={t("Definitions")}
      about={t("{n} of {n2}, in the order of declaration.", { n: shown.length, n2: features.length })}
      flush
    >
      <div className="flex flex-wrap gap-3 px-4 pb-3">
        <TextField
          label={t("Find")}
          type="search"
          placeholder={t("Name, definition or reader")}
          className="w-64 max-w-full"
          value={search.find ?? ""}
          onChange={(event) =>
            void navigate({
              replace: true,
              resetScroll: false,
              search: (kept) => ({ ...kept, find: event.target.value || undefined }),
            })
          }
        />
        <Select
          label={t("Entity")}
          className="w-48 max-w-full"
          value={search.entity ?? ""}
          onChange={(event) =>
            void navigate({
              resetScroll: false,
              search: (kept) => ({ ...kept, entity: event.target.value || undefined }),
            })
          }
        >
          <option value="">{t("all")}</option>
          {entities.map((each) => (
            <option key={each.name}>{each.name}</option>
          ))}
        </Select>
        <Select
          label={t("Kind")}
          className="w-48 max-w-full"
          value={oneOf(KINDS, search.kind) ?? ""}
          onChange={(event) =>
            void navigate({
              resetScroll: false,
              search: (kept) => ({ ...kept, kind: event.target.value || undefined }),
            })
          }
        >
          <option value="">{t("all")}</option>
          <option value="aggregate">{t("aggregates")}</option>
          <option value="derived">{t("derived")}</option>
          <option value="made">{t("made by people")}</option>
        </Select>
      </div>
      {chosen && <FeatureDetail detector={detector} feature={chosen} />}
      <FeatureTable
        detector={detector}
        features={shown}
        chosen={search.feature}
        onOpen={(feature) =>
          void navigate({
            resetScroll: false,
            search: (kept) => ({ ...kept, feature: kept.feature === feature ? undefined : feature }),
          })
        }
        empty={<Empty title={t("No feature fits these filters")} />}
      />
    </Panel>
  );
}
