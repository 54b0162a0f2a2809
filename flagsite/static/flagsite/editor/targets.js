// Individual targets: for each variant a list of targeting keys, one per line.

import { button, field, h, icon, replace } from "./dom.js";
import { otherVariantsOf, targetCount, targetKeys, setTargetKeys, variantNames } from "./model.js";

const MOST_KEYS = 10000;
const ADDER_BUTTONS = 6;
const NAMED = 3;

export function targetsSection(ctx) {
  const open = openVariants(ctx);
  return h(
    "div",
    { class: "fe-targets", "data-path": "targets" },
    h("p", { class: "fe-hint" }, "People or accounts named one by one, by the targeting key your services send. They are looked at before the rules, so a name here always wins. One key per line; a pasted column or a list with commas is fine."),
    open.map((variant) => targetList(ctx, variant)),
    targetAdders(ctx, variantNames(ctx.doc).filter((name) => !open.includes(name))),
  );
}

export function targetsBrief(ctx) {
  const count = targetCount(ctx.doc);
  if (!count) return [h("span", { class: "fe-hint" }, "nobody is named one by one")];
  return (ctx.doc.targets ?? []).filter((entry) => entry.keys?.length).map((entry) => h(
    "span",
    { class: `fe-pill ${ctx.colour(entry.variant)}` },
    h("span", { class: `fe-dot ${ctx.colour(entry.variant)}`, "aria-hidden": "true" }),
    `${countText(entry.keys.length)} → ${entry.variant}`,
  ));
}

export function countText(count) {
  return count === 1 ? "1 key" : `${count.toLocaleString("en")} keys`;
}

// The lists to draw: those with keys, and those somebody opened to write in.
function openVariants(ctx) {
  const listed = (ctx.doc.targets ?? []).map((entry) => entry.variant);
  const opened = [...(ctx.memory.openTargets ?? [])].filter((name) => variantNames(ctx.doc).includes(name));
  return [...new Set([...listed, ...opened])];
}

function targetAdders(ctx, names) {
  const open = (name) => {
    ctx.memory.openTargets = (ctx.memory.openTargets ?? new Set()).add(name);
    ctx.render(`targets.${name}`);
  };
  return h("div", { class: "fe-adders" }, names.slice(0, ADDER_BUTTONS).map((name) => button(`Name people who get ${name}`, { symbol: "person_add", key: `targets.add.${name}`, onClick: () => open(name) })));
}

function targetList(ctx, variant) {
  const keys = targetKeys(ctx.doc, variant);
  const box = h("div", { class: "fe-target" });
  const count = h("span", { class: "fe-target-count", "aria-live": "polite" });
  const notes = h("div", { class: "fe-target-notes" });
  ctx.live(() => {
    const index = (ctx.doc.targets ?? []).findIndex((entry) => entry.variant === variant);
    if (index === -1) delete box.dataset.path;
    else box.dataset.path = `targets[${index}]`;
    const now = targetKeys(ctx.doc, variant);
    count.textContent = countText(now.length);
    count.classList.toggle("fe-sum-wrong", targetCount(ctx.doc) > MOST_KEYS);
    replace(notes, noteOnCopies(ctx, variant, now), noteOnRepeats(ctx, variant, now));
  });
  const title = h("span", { class: `fe-pill ${ctx.colour(variant)}` }, h("span", { class: `fe-dot ${ctx.colour(variant)}`, "aria-hidden": "true" }), variant);
  const remove = button(`Remove everybody named for ${variant}`, { symbol: "delete", iconOnly: true, key: `targets.${variant}.remove`, onClick: () => removeList(ctx, variant) });
  return append(box, [h("div", { class: "fe-target-head" }, h("span", { class: "fe-leaf-word" }, "Always serve"), title, h("span", { class: "fe-leaf-word" }, "to"), count, remove), keysInput(ctx, variant, keys), notes]);
}

function append(element, children) {
  element.append(...children);
  return element;
}

function keysInput(ctx, variant, keys) {
  if (keys.some((key) => /[\r\n]/.test(key))) {
    return h("p", { class: "fe-hint" }, "A key in this list holds a line break, so the list can only be edited under JSON.");
  }
  const area = h("textarea", {
    class: "fe-input fe-code",
    rows: String(Math.min(10, Math.max(3, keys.length + 1))),
    spellcheck: "false",
    autocomplete: "off",
    placeholder: "user-1\nuser-2",
    "data-key": `targets.${variant}`,
    value: keys.join("\n"),
    onInput: (event) => {
      const known = new Set(keys);
      ctx.touch(() => setTargetKeys(ctx.doc, variant, linesOf(event.target.value, known)));
    },
    onPaste: pasteAsLines,
  });
  return field(`Keys that get ${variant}, one per line`, area, { hidden: true });
}

// Blanks around a key are slips of the clipboard, unless the key was stored with them.
function linesOf(text, known) {
  return text.split(/\r?\n/).map((line) => (known.has(line) ? line : line.trim())).filter((line) => line !== "");
}

// A pasted list on one line becomes one key per line.
function pasteAsLines(event) {
  const text = event.clipboardData?.getData("text") ?? "";
  if (/[\r\n]/.test(text) ? !/\t/.test(text) : !/[,;\t]/.test(text)) return;
  event.preventDefault();
  const lines = text.split(/[\r\n,;\t]+/).map((item) => item.trim()).filter(Boolean).join("\n");
  const area = event.target;
  const before = area.value.slice(0, area.selectionStart);
  const glue = before && !before.endsWith("\n") ? "\n" : "";
  area.setRangeText(`${glue}${lines}\n`, area.selectionStart, area.selectionEnd, "end");
  area.dispatchEvent(new Event("input", { bubbles: true }));
}

function noteOnCopies(ctx, variant, keys) {
  const elsewhere = otherVariantsOf(ctx.doc, variant);
  const copies = keys.filter((key) => elsewhere.has(key));
  if (!copies.length) return null;
  const others = [...new Set(copies.map((key) => elsewhere.get(key)))].join(", ");
  const keepHere = () => ctx.edit(() => {
    const mine = new Set(keys);
    for (const entry of [...(ctx.doc.targets ?? [])]) {
      if (entry.variant !== variant) setTargetKeys(ctx.doc, entry.variant, entry.keys.filter((key) => !mine.has(key)));
    }
  });
  return h("p", { class: "fe-warning" }, icon("warning"), `${named(copies)} ${copies.length === 1 ? "is" : "are"} also named for ${others}. A key can only get one variant. `, button("Keep only here", { key: `targets.${variant}.keep`, kind: "fe-button-small", onClick: keepHere }));
}

function noteOnRepeats(ctx, variant, keys) {
  const once = [...new Set(keys)];
  if (once.length === keys.length) return null;
  const count = keys.length - once.length;
  const tidy = () => ctx.edit(() => setTargetKeys(ctx.doc, variant, once));
  return h("p", { class: "fe-warning" }, icon("warning"), `${count === 1 ? "One line repeats a key" : `${count} lines repeat a key`}. `, button("Remove repeats", { key: `targets.${variant}.once`, kind: "fe-button-small", onClick: tidy }));
}

function named(keys) {
  const shown = keys.slice(0, NAMED).join(", ");
  return keys.length > NAMED ? `${shown} and ${keys.length - NAMED} more` : shown;
}

function removeList(ctx, variant) {
  const gone = targetKeys(ctx.doc, variant);
  ctx.memory.openTargets?.delete(variant);
  ctx.edit(() => setTargetKeys(ctx.doc, variant, []), `targets.add.${variant}`);
  if (gone.length) ctx.say(`${countText(gone.length)} removed.`, { undo: () => setTargetKeys(ctx.doc, variant, gone) });
}
