// The page of a plan: dialogs for its acts, and every ten seconds a look at what changed, without losing anything.

const EVERY_MS = 10_000;
const plan = document.getElementById("plan");
const shown = new Map();
let isBusy = false;

for (const region of regionsIn(document)) shown.set(region.id, region.innerHTML);
for (const dialog of document.querySelectorAll("dialog[data-open]")) open(dialog);
if (plan) setInterval(look, EVERY_MS);
document.addEventListener("visibilitychange", look);

function regionsIn(root) {
  return root.querySelectorAll("[data-live][id]");
}

async function look() {
  if (document.hidden || isBusy) return;
  isBusy = true;
  try {
    const answer = await fetch(plan.dataset.lookAgain, { headers: { Accept: "text/html" }, redirect: "error" });
    if (answer.ok) show(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch {
    // The network is away for a moment; the next look tries again.
  }
  isBusy = false;
}

function show(fresh) {
  const sequence = fresh.getElementById("plan")?.dataset.sequence;
  if (sequence === undefined) return;
  const hasMoved = sequence !== plan.dataset.sequence;
  for (const region of regionsIn(document)) {
    const other = fresh.getElementById(region.id);
    const text = other ? other.innerHTML : "";
    if (textOf(text) === textOf(shown.get(region.id) ?? "") || isInUse(region)) continue;
    replace(region, text);
    shown.set(region.id, text);
  }
  if (!hasMoved) return;
  plan.dataset.sequence = sequence;
  for (const note of document.querySelectorAll("dialog[open] .pl-moved")) note.hidden = false;
  document.getElementById("plan-status").textContent = fresh.querySelector("#plan-now .pl-next-words p")?.textContent.trim() ?? "";
}

// The token in the forms is another one in every answer and says nothing about the plan.
function textOf(html) {
  return html.replace(/name="csrfmiddlewaretoken" value="[^"]*"/g, "");
}

// What somebody writes in, or has marked to copy, stays as it is; the next look brings it up to date.
function isInUse(region) {
  if (region.querySelector("dialog[open]")) return true;
  const marked = getSelection();
  return !marked.isCollapsed && marked.containsNode(region, true);
}

function replace(region, html) {
  const focus = region.contains(document.activeElement) ? placeOf(document.activeElement) : "";
  const opened = [...region.querySelectorAll("details[open][id]")].map((details) => details.id);
  region.innerHTML = html;
  for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
  if (focus) region.querySelector(focus)?.focus({ preventScroll: true });
}

function placeOf(element) {
  if (element.id) return `#${CSS.escape(element.id)}`;
  if (element.dataset.opens) return `[data-opens="${CSS.escape(element.dataset.opens)}"]`;
  if (element.tagName === "SUMMARY" && element.parentElement.id) return `#${CSS.escape(element.parentElement.id)} > summary`;
  const address = element.getAttribute("href");
  return address ? `a[href="${CSS.escape(address)}"]` : "";
}

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener) open(document.getElementById(`dialog-${opener.dataset.opens}`));
  if (event.target.closest("[data-closes]")) event.target.closest("dialog").close();
  // A click beside the dialog closes it, but not when something was written.
  if (event.target.matches("dialog.rq-dialog") && !hasText(event.target)) event.target.close();
});

function open(dialog) {
  if (!dialog || dialog.open) return;
  dialog.showModal();
  dialog.querySelector("select, textarea, input:not([type=hidden])")?.focus();
}

function hasText(dialog) {
  return [...dialog.querySelectorAll("textarea")].some((area) => area.value.trim() !== "");
}

// Each form is sent once. The button is disabled after the browser has read the form: it is not part of it then.
document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-guard]")) return;
  if (event.target.dataset.sent) {
    event.preventDefault();
    return;
  }
  event.target.dataset.sent = "yes";
  setTimeout(() => { for (const button of document.querySelectorAll("dialog button[type=submit]")) button.disabled = true; }, 0);
});
window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  for (const button of document.querySelectorAll("dialog button[type=submit]")) button.disabled = false;
});
