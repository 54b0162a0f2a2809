// Prerequisites: other flags that must serve certain variants before this one does anything.

import { button, field, h, icon, replace, select } from "./dom.js";

const MOST = 20;

export function prerequisitesSection(ctx) {
  const rows = ctx.doc.prerequisites ?? [];
  return h(
    "div",
    { class: "fe-prerequisites", "data-path": "prerequisites" },
    h("p", { class: "fe-hint" }, "Other flags that have to serve a certain variant to the same person first. While one does not, this flag behaves as if it were switched off."),
    rows.map((row, index) => prerequisiteRow(ctx, row, index)),
    ctx.meta.flags.length
      ? h("div", { class: "fe-adders" }, button("Add a flag this one needs", { symbol: "account_tree", key: "prerequisites.add", disabled: rows.length >= MOST, onClick: () => add(ctx) }))
      : h("p", { class: "fe-empty" }, "There is no other flag in this project yet."),
    childrenNote(ctx),
  );
}

export function prerequisitesBrief(ctx) {
  const rows = ctx.doc.prerequisites ?? [];
  if (!rows.length) return [h("span", { class: "fe-hint" }, "needs no other flag")];
  return rows.map((row) => h("span", { class: "fe-note" }, icon("account_tree"), `${nameOf(ctx, row.flag)} = ${(row.variants ?? []).join(" or ") || "…"}`));
}

export function nameOf(ctx, key) {
  return ctx.meta.flags.find((flag) => flag.key === key)?.name ?? (key || "…");
}

function add(ctx) {
  const index = ctx.doc.prerequisites?.length ?? 0;
  ctx.edit(() => { (ctx.doc.prerequisites ??= []).push({ flag: "", variants: [] }); }, `prerequisites[${index}].flag`);
}

function remove(ctx, index) {
  const [gone] = ctx.doc.prerequisites.splice(index, 1);
  const restore = () => { (ctx.doc.prerequisites ??= []).splice(index, 0, gone); };
  ctx.edit(() => { if (!ctx.doc.prerequisites.length) delete ctx.doc.prerequisites; }, "prerequisites.add");
  ctx.say("Prerequisite removed.", { undo: restore });
}

function prerequisiteRow(ctx, row, index) {
  const path = `prerequisites[${index}]`;
  const taken = new Set((ctx.doc.prerequisites ?? []).filter((other) => other !== row).map((other) => other.flag));
  const choices = ctx.meta.flags.filter((flag) => !taken.has(flag.key)).map((flag) => [flag.key, flag.name]);
  const picker = select([["", "Choose a flag…"], ...choices], row.flag ?? "", {
    key: `${path}.flag`,
    onChange: (event) => ctx.edit(() => {
      row.flag = event.target.value;
      row.variants = likelyVariants(ctx, row.flag);
    }),
  });
  const parent = ctx.meta.flags.find((flag) => flag.key === row.flag);
  return h(
    "div",
    { class: "fe-prerequisite", "data-path": path },
    h("div", { class: "fe-prerequisite-line" },
      field("Flag", picker, { path: `${path}.flag`, hidden: true }),
      row.flag ? variantChoices(ctx, row, parent, path) : null,
      button(`Remove the prerequisite ${nameOf(ctx, row.flag)}`, { symbol: "delete", iconOnly: true, key: `${path}.remove`, onClick: () => remove(ctx, index) })),
    parent ? presentState(ctx, parent, row) : null,
  );
}

// Usually people wait for "on".
function likelyVariants(ctx, key) {
  const names = ctx.meta.flags.find((flag) => flag.key === key)?.variants ?? [];
  if (names.includes("on")) return ["on"];
  return names.length === 1 ? [...names] : [];
}

function variantChoices(ctx, row, parent, path) {
  const names = [...new Set([...(parent?.variants ?? []), ...(row.variants ?? [])])];
  const toggle = (name, on) => ctx.touch(() => {
    const chosen = new Set(row.variants ?? []);
    if (on) chosen.add(name);
    else chosen.delete(name);
    row.variants = names.filter((entry) => chosen.has(entry));
  }, { structural: true });
  return h(
    "fieldset",
    { class: "fe-prerequisite-variants", "data-path": `${path}.variants` },
    h("legend", { class: "fe-visually-hidden" }, "must serve one of"),
    h("span", { class: "fe-leaf-word", "aria-hidden": "true" }, names.length > 1 ? "must serve one of" : "must serve"),
    names.map((name) => h("label", { class: "fe-choice fe-variant-choice" }, h("input", { type: "checkbox", checked: (row.variants ?? []).includes(name), "data-key": `${path}.variant.${name}`, onChange: (event) => toggle(name, event.target.checked) }), name)),
    names.length ? null : h("span", { class: "fe-hint" }, "This flag is not set up in this environment yet, so it serves no variant."),
  );
}

// What the parent does here today: the one thing that says whether this prerequisite is met.
function presentState(ctx, parent, row) {
  const line = h("p", { class: "fe-parent" });
  ctx.live(() => {
    const never = !parent.serves.some((name) => (row.variants ?? []).includes(name));
    line.classList.toggle("fe-parent-unmet", never);
    replace(
      line,
      icon(never ? "do_not_disturb_on" : "check_circle"),
      h("span", {}, `${ctx.meta.environment} now: `, h("b", {}, parent.state), never ? ". So this flag stays as if switched off until that changes. " : ". "),
      h("a", { href: parent.url, target: "_blank", rel: "noopener" }, `Look at ${parent.name}`),
    );
  });
  return line;
}

function childrenNote(ctx) {
  const children = ctx.meta.children ?? [];
  if (!children.length) return null;
  const links = children.flatMap((child, index) => [index ? ", " : null, h("a", { href: child.url, target: "_blank", rel: "noopener" }, child.name)]);
  return h("p", { class: "fe-warning fe-children" }, icon("account_tree"), h("span", {}, children.length === 1 ? "Another flag depends on this one: " : `${children.length} flags depend on this one: `, links, ". What you change here changes them too."));
}
