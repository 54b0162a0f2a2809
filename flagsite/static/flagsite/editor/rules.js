// The ordered rules as cards: closed they say what they do, open they can be edited.

import { button, field, h, icon, select } from "./dom.js";
import { conditionBuilder } from "./conditions.js";
import { decidesForAll, freshRuleId, growingVariant, restVariant, TOTAL_WEIGHT, variantNames } from "./model.js";
import { shareBar, splitEditor } from "./split.js";
import { moreBrief, moreSection } from "./spread.js";
import { audienceText, sentence, serveText } from "./words.js";

export function rulesSection(ctx) {
  const rules = ctx.doc.rules;
  const stop = rules.findIndex(decidesForAll);
  return h(
    "div",
    { class: "fe-rules", "data-path": "rules" },
    rules.length
      ? h("p", { class: "fe-hint" }, "Asked from top to bottom; the first rule that fits decides.")
      : h("p", { class: "fe-empty" }, "No rules yet: everyone gets what stands under “For everyone else”. Add a rule to serve some people something different."),
    h("ol", { class: "fe-rule-list" }, rules.map((rule, index) => ruleCard(ctx, rule, index, stop))),
    h(
      "div",
      { class: "fe-adders" },
      button("Add a rule", { symbol: "add", key: "rules.add", kind: "fe-button-strong", disabled: rules.length >= 100, onClick: () => addRule(ctx) }),
    ),
  );
}

// A new rule goes before a trailing rule for everyone, where it can still take effect.
function addRule(ctx) {
  const rules = ctx.doc.rules;
  const rule = {
    id: freshRuleId(ctx.doc),
    description: "",
    condition: { attribute: "", operator: "equals", value: "" },
    serve: { variant: growingVariant(ctx.doc) ?? "" },
  };
  const place = rules.length && decidesForAll(rules.at(-1)) ? rules.length - 1 : rules.length;
  ctx.setOpen(rule, "card", true);
  ctx.edit(() => { rules.splice(place, 0, rule); }, `rules[${place}].description`);
}

function ruleCard(ctx, rule, index, stop) {
  const path = `rules[${index}]`;
  const isOpen = ctx.isOpen(rule, "card") || ctx.hasProblem(path);
  const unreachable = stop !== -1 && index > stop;
  return h(
    "li",
    { class: `fe-card ${isOpen ? "fe-card-open" : ""}`, "data-path": path, onKeydown: (event) => moveByKeyboard(ctx, event, index) },
    cardHead(ctx, rule, index, isOpen),
    unreachable ? h("p", { class: "fe-warning" }, icon("warning"), `Never asked: rule ${stop + 1} already decides for everyone. Move this rule above it.`) : null,
    isOpen ? cardBody(ctx, rule, path) : null,
  );
}

function cardHead(ctx, rule, index, isOpen) {
  const path = `rules[${index}]`;
  const title = h("span", { class: "fe-card-title" });
  const audience = h("span", { class: "fe-card-audience" });
  const serves = h("span", { class: "fe-card-serves" });
  const notes = h("span", { class: "fe-card-notes" });
  ctx.live(() => {
    const text = sentence(audienceText(rule, ctx.segmentNames));
    title.textContent = rule.description || text;
    audience.textContent = rule.description && rule.description !== text ? text : "";
    serves.replaceChildren(...servedPills(ctx, rule.serve));
    notes.replaceChildren(...moreBrief(ctx, rule));
  });
  const toggle = () => { ctx.setOpen(rule, "card", !isOpen); ctx.render(`${path}.toggle`); };
  return h(
    "div",
    { class: "fe-card-head" },
    h("span", { class: "fe-card-number", "aria-hidden": "true" }, String(index + 1)),
    h(
      "button",
      { type: "button", class: "fe-card-toggle", "aria-expanded": String(isOpen), "data-key": `${path}.toggle`, onClick: toggle },
      h("span", { class: "fe-card-words" }, title, audience, notes),
      serves,
      icon(isOpen ? "expand_less" : "expand_more"),
    ),
    h("div", { class: "fe-card-actions" }, cardActions(ctx, rule, index)),
  );
}

export function servedPills(ctx, serve) {
  if (serve.codeDefault) return [h("span", { class: "fe-pill fe-pill-code" }, "the code default")];
  if (serve.split) return [h("span", { class: "fe-card-bar" }, shareBar(ctx, serve.split), h("span", { class: "fe-card-split" }, serveText(serve)))];
  return [h("span", { class: `fe-pill ${ctx.colour(serve.variant)}` }, h("span", { class: `fe-dot ${ctx.colour(serve.variant)}`, "aria-hidden": "true" }), serve.variant || "…")];
}

function cardActions(ctx, rule, index) {
  const rules = ctx.doc.rules;
  const path = `rules[${index}]`;
  return [
    button(`Move rule ${index + 1} up`, { symbol: "arrow_upward", iconOnly: true, key: `${path}.up`, title: "Move up (Alt + ↑)", disabled: index === 0, onClick: () => move(ctx, index, -1) }),
    button(`Move rule ${index + 1} down`, { symbol: "arrow_downward", iconOnly: true, key: `${path}.down`, title: "Move down (Alt + ↓)", disabled: index === rules.length - 1, onClick: () => move(ctx, index, 1) }),
    button(`Duplicate rule ${index + 1}`, { symbol: "content_copy", iconOnly: true, key: `${path}.copy`, onClick: () => duplicate(ctx, rule, index) }),
    button(`Remove rule ${index + 1}`, { symbol: "delete", iconOnly: true, key: `${path}.remove`, onClick: () => remove(ctx, index) }),
  ];
}

function remove(ctx, index) {
  const [gone] = ctx.doc.rules.splice(index, 1);
  ctx.edit(() => {}, ctx.doc.rules.length ? `rules[${Math.min(index, ctx.doc.rules.length - 1)}].toggle` : "rules.add");
  ctx.say(`Rule ${index + 1} removed.`, { undo: () => { ctx.doc.rules.splice(index, 0, gone); } });
}

function duplicate(ctx, rule, index) {
  const copy = structuredClone(rule);
  copy.id = freshRuleId(ctx.doc);
  copy.description = rule.description ? `${rule.description} (copy)` : "";
  ctx.setOpen(copy, "card", true);
  ctx.edit(() => { ctx.doc.rules.splice(index + 1, 0, copy); }, `rules[${index + 1}].description`);
}

function move(ctx, index, step, key) {
  const target = index + step;
  if (target < 0 || target >= ctx.doc.rules.length) return;
  ctx.edit(() => { ctx.doc.rules.splice(target, 0, ...ctx.doc.rules.splice(index, 1)); }, key ?? `rules[${target}].${step < 0 ? "up" : "down"}`);
  ctx.say(`Moved to position ${target + 1} of ${ctx.doc.rules.length}.`);
}

function moveByKeyboard(ctx, event, index) {
  if (!event.altKey || !["ArrowUp", "ArrowDown"].includes(event.key)) return;
  event.preventDefault();
  const step = event.key === "ArrowUp" ? -1 : 1;
  const tail = event.target.dataset?.key?.replace(/^rules\[\d+\]/, "") ?? ".toggle";
  move(ctx, index, step, `rules[${index + step}]${tail}`);
}

function cardBody(ctx, rule, path) {
  const description = h("input", {
    type: "text",
    class: "fe-input",
    value: rule.description ?? "",
    placeholder: "e.g. Beta customers",
    "data-key": `${path}.description`,
    onInput: (event) => ctx.touch(() => { rule.description = event.target.value; }),
  });
  const slot = { get: () => rule.condition ?? null, set: (value) => { rule.condition = value; }, path: `${path}.condition` };
  return h(
    "div",
    { class: "fe-card-body" },
    field("Name of this rule", description, { path: `${path}.description`, hint: "Shown in summaries, reviews and the audit trail." }),
    h("div", { class: "fe-step" }, h("h4", { class: "fe-step-title" }, "If"), conditionBuilder(ctx, slot)),
    h("div", { class: "fe-step" }, h("h4", { class: "fe-step-title" }, "then serve"), serveEditor(ctx, rule, path)),
    moreSection(ctx, rule, path),
  );
}

function serveEditor(ctx, rule, path) {
  const isSplit = Boolean(rule.serve.split);
  const name = `${path}.serve.kind`;
  const choice = (value, label, checked) => h(
    "label",
    { class: "fe-choice" },
    h("input", { type: "radio", name, value, checked, "data-key": `${name}.${value}`, onChange: () => ctx.edit(() => serveAs(ctx, rule, value)) }),
    label,
  );
  return h(
    "div",
    { class: "fe-serve", "data-path": `${path}.serve` },
    h("div", { class: "fe-choices", role: "radiogroup", "aria-label": "How to serve" }, choice("variant", "one variant", !isSplit), choice("split", "a split by percentage", isSplit)),
    isSplit ? splitEditor(ctx, rule, path) : oneVariant(ctx, rule, path),
  );
}

function oneVariant(ctx, rule, path) {
  const picker = select(variantNames(ctx.doc).map((name) => [name, name]), rule.serve.variant, {
    key: `${path}.serve.variant`,
    onChange: (event) => ctx.touch(() => { rule.serve.variant = event.target.value; }),
  });
  return field("Variant", picker, { path: `${path}.serve.variant`, hidden: true });
}

// How a split spreads people means nothing without one; it comes back with the split.
function serveAs(ctx, rule, kind) {
  rule.serve = servedAs(ctx, rule.serve, kind);
  ctx.memory.spread ??= new WeakMap();
  if (kind === "variant") {
    ctx.memory.spread.set(rule, { salt: rule.salt, bucket_by: rule.bucket_by });
    delete rule.salt;
    delete rule.bucket_by;
  } else {
    for (const [name, value] of Object.entries(ctx.memory.spread.get(rule) ?? {})) if (value) rule[name] = value;
  }
}

function servedAs(ctx, serve, kind) {
  if (kind === "variant") return { variant: serve.split?.[0]?.variant ?? growingVariant(ctx.doc) };
  const growing = serve.variant || growingVariant(ctx.doc);
  const rest = restVariant(ctx.doc, growing);
  if (!rest) return { split: [{ variant: growing, weight: TOTAL_WEIGHT }] };
  return { split: [{ variant: growing, weight: TOTAL_WEIGHT / 2 }, { variant: rest, weight: TOTAL_WEIGHT / 2 }] };
}
