// The segment editor: the same condition builder, on a document that holds nothing else.

import { checkCondition } from "./checks.js";
import { conditionBuilder } from "./conditions.js";
import { Context } from "./context.js";
import { h, replace } from "./dom.js";
import { isCondition, isRecord, knownAttributes, sameJson } from "./model.js";
import { postCompactly, readableJson } from "./posting.js";
import { clearProblems, placeOf, problemList, showProblem } from "./problems.js";
import { conditionText } from "./words.js";

const form = document.getElementById("segment-editor");
const data = JSON.parse(document.getElementById("segment-editor-data").textContent);
const area = form.elements.document;
const slot = (name) => form.querySelector(`[data-slot="${name}"]`);

let asked = data.problems.length > 0;
let isLeaving = false;
let serverProblems = data.problems;

const ctx = new Context({
  doc: parsed(area.value),
  meta: { ...data, valueType: "boolean" },
  root: form,
  toast: slot("toast"),
  sections: { condition: { slot: slot("condition"), draw: drawCondition } },
  onChange: changed,
});

start();

function start() {
  form.classList.add("fe-ready");
  area.value = readableJson(area.value);
  form.append(h("datalist", { id: ctx.attributeListId }, knownAttributes({ rules: [ctx.doc ?? {}] }, data.attributes).map((name) => h("option", { value: name }))));
  if (isDrawable(ctx.doc)) ctx.render();
  else form.querySelector(".fe-segment-json").open = true;
  area.addEventListener("input", jsonChanged);
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches("input, select")) event.preventDefault();
  });
  form.addEventListener("submit", submitted);
  postCompactly(form);
  window.addEventListener("beforeunload", (event) => {
    if (isDirty() && !isLeaving) event.preventDefault();
  });
  suggestKey();
  refresh();
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isDrawable(doc) {
  return isRecord(doc) && "condition" in doc && isCondition(doc.condition);
}

function isDirty() {
  return data.current !== null && (!sameJson(ctx.doc, data.current) || form.elements.name.value !== data.currentName);
}

function drawCondition(context) {
  const place = { get: () => context.doc.condition, set: (value) => { context.doc.condition = value; }, path: "condition" };
  return conditionBuilder(context, place);
}

function changed() {
  area.value = JSON.stringify(ctx.doc, null, 2);
  serverProblems = [];
  refresh();
}

function jsonChanged() {
  const doc = parsed(area.value);
  const drawable = isDrawable(doc);
  slot("json-problem").textContent = drawable ? "" : doc === null ? "This is not valid JSON yet." : "This is not the shape of a segment.";
  if (!drawable) return;
  ctx.doc = doc;
  ctx.render();
  refresh();
}

function problems() {
  const found = [];
  if (isDrawable(ctx.doc)) {
    if (ctx.doc.condition === null) found.push({ path: "condition", message: "Say who belongs to it: add at least one condition." });
    checkCondition(ctx.doc.condition, "condition", found);
  }
  if (!form.elements.name.value.trim()) found.push({ path: "name", message: "Give the segment a name." });
  if (form.elements.key && !form.elements.key.value.trim()) found.push({ path: "key", message: "Give the segment a key." });
  if (form.elements.reason && !form.elements.reason.value.trim()) found.push({ path: "reason", message: "Say why, in a few words." });
  return [...found, ...serverProblems.filter((theirs) => !found.some((mine) => mine.path === theirs.path))];
}

function refresh() {
  slot("summary").textContent = isDrawable(ctx.doc) ? conditionText(ctx.doc.condition, ctx.segmentNames) : "";
  clearProblems(form);
  ctx.problems = problems();
  slot("problems").hidden = !(asked && ctx.problems.length);
  if (!asked) return;
  for (const problem of ctx.problems) showProblem(form, problem);
  replace(slot("problems"), problemList(ctx.problems, { go }));
}

function go(problem) {
  const place = placeOf(form, problem.path);
  place?.scrollIntoView({ block: "center" });
  place?.querySelector("input, select, textarea")?.focus({ preventScroll: true });
}

function submitted(event) {
  asked = true;
  refresh();
  if (ctx.problems.length) {
    event.preventDefault();
    go(ctx.problems[0]);
    return;
  }
  isLeaving = true;
  setTimeout(() => { for (const control of form.querySelectorAll("button[type=submit]")) control.disabled = true; }, 0);
}

// The key follows the name until somebody writes one.
function suggestKey() {
  const key = form.querySelector("[data-suggest]");
  if (!key) return;
  let isOwn = key.value !== "";
  key.addEventListener("input", () => { isOwn = key.value !== ""; });
  form.elements.name.addEventListener("input", () => {
    if (isOwn) return;
    key.value = form.elements.name.value.toLowerCase().normalize("NFKD").replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 100);
  });
}
