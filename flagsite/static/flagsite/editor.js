// The config editor: builder and JSON are two views of one document, which the form posts as text.

import { defaultSection, quickSection, switchSection } from "./editor/basics.js";
import { checkConfig } from "./editor/checks.js";
import { Context } from "./editor/context.js";
import { append, h, replace } from "./editor/dom.js";
import { isDrawable, knownAttributes, sameJson } from "./editor/model.js";
import { differenceList, drawChanges, drawSummary, findingList } from "./editor/panel.js";
import { compactJson, postCompactly, readableJson } from "./editor/posting.js";
import { prerequisitesBrief, prerequisitesSection } from "./editor/prerequisites.js";
import { clearProblems, covers, placeOf, problemList, showProblem } from "./editor/problems.js";
import { rulesSection } from "./editor/rules.js";
import { Checker } from "./editor/server.js";
import { targetsBrief, targetsSection } from "./editor/targets.js";
import { suggestedTitle } from "./editor/titles.js";
import { variantChips, variantsSection } from "./editor/variants.js";
import { visibilityBrief, visibilitySection } from "./editor/visibility.js";

const form = document.getElementById("config-editor");
const data = JSON.parse(document.getElementById("config-editor-data").textContent);
const area = form.elements.document;
const dialog = document.getElementById("config-review");
const slot = (name) => form.querySelector(`[data-slot="${name}"]`);
// What the dialog asks for besides the document. No check of the document says that it is good now.
const WORDS = ["title", "reason"];

let isDirty = false;
let isLeaving = false;
let asked = false;
let isBroken = false;
let serverProblems = data.problems.filter((problem) => !WORDS.includes(problem.path));
let wordProblems = data.problems.filter((problem) => WORDS.includes(problem.path));
let differences = data.differences;
let findings = data.findings;
const visited = new Set();

const ctx = new Context({
  doc: parsed(area.value),
  meta: data,
  root: form,
  toast: slot("toast"),
  sections: {
    quick: { slot: slot("quick"), draw: quickSection },
    switch: { slot: slot("switch"), draw: switchSection },
    prerequisites: { slot: slot("prerequisites"), draw: prerequisitesSection },
    targets: { slot: slot("targets"), draw: targetsSection },
    rules: { slot: slot("rules"), draw: rulesSection },
    default: { slot: slot("default"), draw: defaultSection },
    variants: { slot: slot("variants"), draw: variantsSection },
    visibility: { slot: slot("visibility"), draw: visibilitySection },
  },
  onChange: changed,
});

const checker = new Checker({
  form,
  url: form.dataset.validateUrl,
  fields: () => ({ document: compactJson(area.value), base_version: form.elements.base_version.value, digest: form.elements.digest?.value ?? "" }),
  onAnswer: answered,
  onTrouble: () => { slot("status").textContent = "Could not check just now. Everything is checked again when you go on."; },
});

start();

function start() {
  form.classList.add("fe-ready");
  area.value = readableJson(area.value);
  asked = data.problems.length > 0;
  form.append(h("datalist", { id: ctx.attributeListId }));
  showTab(isDrawable(ctx.doc) ? "builder" : "json");
  isBroken = !isDrawable(ctx.doc);
  if (!isBroken) drawBuilder();
  isDirty = !sameJson(ctx.doc, data.current) && data.current !== null;
  wire();
  refresh();
  if (isDirty || data.current === null) checker.soon();
  // Links from a change request lead to the part of the document that a finding is about.
  const path = location.hash.startsWith("#at=") ? decodeURIComponent(location.hash.slice(4)) : "";
  if (path) showPlace({ path });
}

function drawBuilder() {
  const list = document.getElementById(ctx.attributeListId);
  replace(list, knownAttributes(ctx.doc, data.attributes).map((name) => h("option", { value: name })));
  ctx.render();
  slot("variants").closest("details").open ||= data.valueType !== "boolean";
}

// ---------------------------------------------------------------- one document, two views

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function changed() {
  area.value = JSON.stringify(ctx.doc, null, 2);
  isDirty = !sameJson(ctx.doc, data.current);
  refresh();
  slot("status").textContent = "Checking…";
  checker.soon();
}

function jsonChanged() {
  const doc = parsed(area.value);
  const trouble = doc === null ? jsonTrouble(area.value) : isDrawable(doc) ? "" : "This is not the shape of a flag's settings; the builder cannot show it.";
  isBroken = Boolean(trouble);
  slot("json-problem").textContent = trouble;
  area.setAttribute("aria-invalid", String(Boolean(trouble)));
  isDirty = true;
  if (!trouble) {
    ctx.doc = doc;
    drawBuilder();
    isDirty = !sameJson(doc, data.current);
    refresh();
  }
  slot("status").textContent = "Checking…";
  checker.soon();
}

function jsonTrouble(text) {
  try {
    JSON.parse(text);
  } catch (error) {
    return `This is not valid JSON: ${error.message}`;
  }
  return "";
}

function chooseTab(name) {
  if (name === "builder" && isBroken) ctx.say("Correct the JSON first: the builder cannot show it as it is.");
  else showTab(name);
}

function showTab(name) {
  for (const tab of form.querySelectorAll("[data-tab]")) {
    const chosen = tab.dataset.tab === name;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    document.getElementById(tab.getAttribute("aria-controls")).hidden = !chosen;
  }
}

// ---------------------------------------------------------------- what the server says

function answered(answer) {
  serverProblems = answer.problems;
  if (!serverProblems.length) {
    differences = answer.differences;
    findings = answer.findings;
  }
  slot("status").textContent = "";
  if (answer.is_stale) slot("status").textContent = "Somebody saved a newer version meanwhile. You will see what changed when you go on.";
  refresh();
}

function refresh() {
  const drawable = isDrawable(ctx.doc);
  if (drawable) {
    drawSummary(ctx, slot("summary"));
    replace(slot("variants-brief"), variantChips(ctx));
    replace(slot("prerequisites-brief"), prerequisitesBrief(ctx));
    replace(slot("targets-brief"), targetsBrief(ctx));
    replace(slot("visibility-brief"), visibilityBrief(ctx));
  }
  drawFindings();
  if (!drawable) replace(slot("summary"), h("p", { class: "fe-panel-note" }, "The builder cannot read this document. Correct it under JSON."));
  drawChanges(slot("changes"), differences, { isDirty, isNew: data.current === null, isUnfinished: serverProblems.length > 0 });
  refreshProblems(drawable);
  refreshAction();
}

function drawFindings() {
  const place = slot("findings");
  place.hidden = !findings.length;
  replace(place, findings.length ? [h("h2", {}, "Worth a second look"), h("p", { class: "fe-panel-note" }, "Nothing here stops you. Reviewers see it too."), findingList(findings, { go: showPlace })] : []);
}

function refreshProblems(drawable) {
  const own = drawable ? checkConfig(ctx.doc) : [];
  const all = [...own, ...serverProblems.filter((theirs) => !own.some((mine) => mine.path === theirs.path || covers(mine.path, theirs.path)))];
  ctx.problems = all.map((problem) => ({ ...problem, shown: asked || visited.has(problem.path) }));
  clearProblems(form);
  for (const problem of ctx.problems) if (problem.shown) showProblem(form, problem);
  for (const problem of wordProblems) showProblem(form, problem);
  const count = ctx.problems.length;
  const place = slot("problems");
  place.hidden = !count;
  replace(place, count ? [h("p", { class: "fe-panel-title" }, count === 1 ? "One thing to finish" : `${count} things to finish`), problemList(ctx.problems, { go })] : []);
}

function go(problem) {
  asked = true;
  showPlace(problem);
}

function showPlace(problem) {
  const rule = /^rules\[(\d+)\]/.exec(problem.path);
  showTab(isBroken || !isDrawable(ctx.doc) ? "json" : "builder");
  if (rule && ctx.doc.rules?.[rule[1]]) ctx.setOpen(ctx.doc.rules[rule[1]], "card", true);
  if (isDrawable(ctx.doc)) ctx.render();
  refreshProblems(isDrawable(ctx.doc));
  const place = isBroken ? area : (placeOf(form, problem.path) ?? area);
  for (let fold = place.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  place.scrollIntoView({ block: "center", behavior: "smooth" });
  (place.matches("input,select,textarea") ? place : place.querySelector("input,select,textarea,button"))?.focus({ preventScroll: true });
}

function refreshAction() {
  const blocked = !isDirty && data.current !== null && !data.mayPostUnchanged;
  for (const action of form.querySelectorAll("[data-main-action]")) {
    action.disabled = blocked;
    action.title = blocked ? "Change something first." : "";
  }
  const count = differences.length;
  for (const counter of form.querySelectorAll("[data-change-count]")) {
    counter.textContent = count === 0 ? "" : count === 1 ? "1 change" : `${count} changes`;
  }
}

// ---------------------------------------------------------------- what the person does

function wire() {
  area.addEventListener("input", jsonChanged);
  for (const tab of form.querySelectorAll("[data-tab]")) tab.addEventListener("click", () => chooseTab(tab.dataset.tab));
  form.querySelector("[role=tablist]").addEventListener("keydown", (event) => {
    if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    const tabs = [...form.querySelectorAll("[data-tab]")];
    const next = tabs[(tabs.indexOf(document.activeElement) + 1) % tabs.length];
    chooseTab(next.dataset.tab);
    form.querySelector("[data-tab][aria-selected=true]").focus();
  });
  form.addEventListener("focusout", leftControl);
  form.addEventListener("keydown", keepEnterInside);
  form.addEventListener("submit", submitted);
  postCompactly(form);
  for (const action of form.querySelectorAll("[data-review]")) action.addEventListener("click", openReview);
  for (const name of WORDS) form.elements[name]?.addEventListener("input", () => keepWordProblems((path) => path !== name));
  form.querySelector("[data-close-dialog]").addEventListener("click", () => dialog.close());
  document.querySelector("[data-use-merged]")?.addEventListener("click", useMerged);
  window.addEventListener("beforeunload", (event) => {
    if (isDirty && !isLeaving) event.preventDefault();
  });
  loadNeighbours();
}

function leftControl(event) {
  const path = event.target.closest?.("[data-path]")?.dataset.path;
  if (!path || visited.has(path)) return;
  visited.add(path);
  // Messages move what is below them; wait until a click that caused this has landed.
  setTimeout(() => refreshProblems(isDrawable(ctx.doc)), 120);
}

// Enter in a control must not send the form before the person has seen what changes.
function keepEnterInside(event) {
  const isField = event.target.matches("input, select") && !event.target.closest("dialog");
  if (event.key === "Enter" && isField) event.preventDefault();
}

function stopAtProblems() {
  asked = true;
  if (ctx.problems.length) {
    go(ctx.problems[0]);
    ctx.say("Finish what is marked, then go on.");
    return true;
  }
  if (jsonTrouble(area.value)) {
    showTab("json");
    area.focus();
    return true;
  }
  return false;
}

// "Review": the differences once more, the environment, and why. The server's answer must be fresh for that.
async function openReview(event) {
  event.preventDefault();
  await checker.now();
  if (stopAtProblems()) return;
  replace(slot("review-changes"), differences.length ? differenceList(differences) : h("p", {}, "Nothing that changes what is served."));
  const warnings = findings.filter((finding) => finding.severity === "warning");
  replace(slot("review-findings"), warnings.length ? [h("p", { class: "fe-label" }, "Worth a second look"), findingList(warnings)] : []);
  const title = form.elements.title;
  if (title && (!title.value || title.dataset.suggested === title.value)) {
    title.value = suggestedTitle(title.dataset.title, differences);
    title.dataset.suggested = title.value;
  }
  dialog.showModal();
  (form.elements.reason ?? dialog.querySelector("[data-confirm]")).focus();
}

function keepWordProblems(isKept, ...more) {
  wordProblems = [...wordProblems.filter((problem) => isKept(problem.path)), ...more];
  refreshProblems(isDrawable(ctx.doc));
}

function reasonMissing() {
  const reason = form.elements.reason;
  if (!reason || form.elements.draft?.value || reason.value.trim()) return false;
  keepWordProblems((path) => path !== "reason", { path: "reason", message: "Say why, in a few words." });
  reason.focus();
  return true;
}

function submitted(event) {
  // In an emergency the next page shows what changes and asks why.
  if (event.submitter?.matches("[data-emergency]")) {
    isLeaving = true;
    return;
  }
  if (!dialog.open) {
    openReview(event);
    return;
  }
  if (reasonMissing()) {
    event.preventDefault();
    return;
  }
  isLeaving = true;
  // A second press must not send the form twice; the button is disabled after the browser has read the form.
  setTimeout(() => { for (const control of form.querySelectorAll("button[type=submit]")) control.disabled = true; }, 0);
}

// Both changes together: theirs where they alone touched something, the person's own elsewhere.
function useMerged() {
  isBroken = false;
  ctx.doc = structuredClone(data.merged);
  drawBuilder();
  changed();
  ctx.say("Both changes are in the editor now. Check the list of changes.");
}

// Which of my drafts could take this change, and who else is changing the same flag.
async function loadNeighbours() {
  const place = slot("neighbours");
  if (!place || !form.dataset.neighboursUrl) return;
  try {
    const response = await fetch(form.dataset.neighboursUrl, { headers: { Accept: "application/json" }, credentials: "same-origin" });
    if (!response.ok) return;
    const { drafts, open } = await response.json();
    append(place, [open.length ? conflictNote(open) : null]);
    if (drafts.length && slot("drafts")) slot("drafts").append(draftChoice(drafts));
  } catch {
    // Without the answer the change simply becomes a request of its own.
  }
}

function conflictNote(open) {
  return h(
    "div",
    { class: "fe-conflict" },
    h("p", { class: "fe-panel-title" }, open.length === 1 ? "Another open request changes this flag" : `${open.length} other open requests change this flag`),
    h("ul", {}, open.map((item) => h("li", {}, h("a", { href: item.url }, `#${item.number} ${item.title}`), ` by ${item.requester}`))),
    h("p", { class: "fe-panel-note" }, "Whichever is applied first, the other will have to be prepared again."),
  );
}

function draftChoice(drafts) {
  const options = [["", "A new change request"], ...drafts.map((draft) => [draft.id, `My draft #${draft.number} ${draft.title}`])];
  const choose = (event) => {
    for (const part of form.querySelectorAll("[data-new-only]")) part.hidden = Boolean(event.target.value);
  };
  return h(
    "label",
    { class: "fe-field" },
    h("span", { class: "fe-label" }, "Put it into"),
    h("select", { name: "draft", class: "fe-select", onChange: choose }, options.map(([value, label]) => h("option", { value }, label))),
  );
}
