// The column beside the builder: what the flag does in plain words, and what changes against the current version.

import { button, h, icon, replace } from "./dom.js";
import { nameOf } from "./prerequisites.js";
import { whereOf } from "./problems.js";
import { servedPills } from "./rules.js";
import { moreBrief } from "./spread.js";
import { summaryLines } from "./words.js";

export function drawSummary(ctx, place) {
  const document = ctx.doc;
  const lines = summaryLines(document, ctx.segmentNames);
  const rows = lines.map((line) => h("li", { class: "fe-sentence" }, h("span", { class: "fe-sentence-who" }, line.who), line.rule ? moreBrief(ctx, line.rule) : null, h("span", { class: "fe-sentence-gets" }, servedPills(ctx, line.serve))));
  if (document.enabled) {
    replace(place, needsNote(ctx), h("ol", { class: "fe-sentences" }, rows));
    return;
  }
  const off = document.off_variant === null ? { codeDefault: true } : { variant: document.off_variant };
  replace(
    place,
    h("ol", { class: "fe-sentences" }, h("li", { class: "fe-sentence" }, h("span", { class: "fe-sentence-who" }, "Everyone, while it is off"), h("span", { class: "fe-sentence-gets" }, servedPills(ctx, off)))),
    h("p", { class: "fe-panel-note" }, "Once switched on:"),
    needsNote(ctx),
    h("ol", { class: "fe-sentences fe-later" }, rows),
  );
}

function needsNote(ctx) {
  const needs = ctx.doc.prerequisites ?? [];
  if (!needs.length) return null;
  const words = needs.map((row) => `${nameOf(ctx, row.flag)} serves ${(row.variants ?? []).join(" or ") || "…"}`).join(" and ");
  return h("p", { class: "fe-panel-note fe-needs" }, icon("account_tree"), h("span", {}, `Only where ${words}; elsewhere as if switched off.`));
}

const SYMBOLS = { added: "add_circle", removed: "do_not_disturb_on", changed: "change_circle" };

export function drawChanges(place, differences, { isDirty, isNew, isUnfinished }) {
  if (isUnfinished) {
    replace(place, differences.length ? differenceList(differences) : null, h("p", { class: "fe-panel-note" }, "The list is complete once everything is filled in."));
    return;
  }
  if (!differences.length) {
    const text = isDirty ? "Nothing that changes what is served." : isNew ? "Not set up here yet: saving sets it up." : "Nothing changed yet.";
    replace(place, h("p", { class: "fe-panel-note" }, text));
    return;
  }
  replace(place, differenceList(differences));
}

export function differenceList(differences) {
  return h(
    "ul",
    { class: "fe-differences" },
    differences.map((item) => h("li", { class: `fe-difference fe-difference-${item.kind}` }, icon(SYMBOLS[item.kind] ?? "change_circle"), h("span", {}, item.sentence))),
  );
}

const SEVERITIES = { warning: ["Look again", "fs-tone-wait", "error"], note: ["Note", "fs-tone-accent", "info"] };

// What the linter says: nothing is refused for it.
export function findingList(findings, { go } = {}) {
  return h("ul", { class: "fe-findings" }, findings.map((finding) => {
    const [word, tone, symbol] = SEVERITIES[finding.severity] ?? SEVERITIES.note;
    return h(
      "li",
      { class: "fe-finding" },
      h("span", { class: `fs-chip ${tone}` }, icon(symbol), word),
      h("p", { class: "fe-finding-what" }, `${finding.message.startsWith("Rule ") || !finding.path.startsWith("rules") ? "" : whereOf(finding.path)}${finding.message}`),
      h("p", { class: "fe-finding-advice" }, finding.advice),
      go && finding.path ? button("Go there", { kind: "fe-link", onClick: () => go(finding) }) : null,
    );
  }));
}
