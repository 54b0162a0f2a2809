// Dialogs for the acts on a request, and forms that are sent once. Every act is a plain form.

for (const opener of document.querySelectorAll("[data-opens]")) {
  opener.addEventListener("click", () => open(document.getElementById(`dialog-${opener.dataset.opens}`)));
}

for (const dialog of document.querySelectorAll("dialog.rq-dialog")) {
  dialog.querySelector("[data-closes]")?.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog && !hasText(dialog)) dialog.close();
  });
  if ("open" in dialog.dataset) open(dialog);
}

function open(dialog) {
  if (!dialog || dialog.open) return;
  dialog.showModal();
  dialog.querySelector("textarea, input:not([type=hidden])")?.focus();
}

// A click beside the dialog closes it, but not when something was written.
function hasText(dialog) {
  return [...dialog.querySelectorAll("textarea")].some((area) => area.value.trim() !== "");
}

// What was typed into one form survives the sending of another one: it waits in this tab until the page is here again.
function fieldsOf(form) {
  return [...form.elements].filter((field) => field.name && !["hidden", "file", "submit", "button"].includes(field.type));
}

function isChoice(field) {
  return ["checkbox", "radio"].includes(field.type);
}

function isChanged(field) {
  return isChoice(field) ? field.checked !== field.defaultChecked : field.value !== field.defaultValue;
}

function nameOf(field) {
  return isChoice(field) ? `${field.name}=${field.value}` : field.name;
}

function keep(form, place) {
  const typed = fieldsOf(form).filter(isChanged).map((field) => [nameOf(field), field.checked, field.value]);
  sessionStorage.setItem(place, JSON.stringify(typed));
}

function restore(form, place) {
  const kept = sessionStorage.getItem(place);
  sessionStorage.removeItem(place);
  for (const [name, isChecked, value] of JSON.parse(kept ?? "[]")) {
    const field = fieldsOf(form).find((one) => nameOf(one) === name);
    if (!field) continue;
    if (isChoice(field)) field.checked = isChecked;
    else field.value = value;
  }
  return kept !== null;
}

for (const form of document.querySelectorAll("form[data-guard]")) {
  const place = `fs-typed ${form.getAttribute("action")} ${form.querySelector("textarea")?.id}`;
  let isDirty = restore(form, place);
  let isSent = false;
  form.addEventListener("input", () => { isDirty = true; });
  document.addEventListener("submit", (event) => {
    if (event.target === form || event.defaultPrevented || !isDirty) return;
    keep(form, place);
    isDirty = false;
  });
  form.addEventListener("submit", (event) => {
    if (isSent) {
      event.preventDefault();
      return;
    }
    isSent = true;
    isDirty = false;
    // After the browser has read the form: a disabled button is not part of it.
    setTimeout(() => { for (const button of document.querySelectorAll("button[type=submit]")) button.disabled = true; }, 0);
  });
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    isSent = false;
    for (const button of document.querySelectorAll("button[type=submit]")) button.disabled = false;
  });
  window.addEventListener("beforeunload", (event) => {
    if (isDirty) event.preventDefault();
  });
}

// The time field is only asked for when a time is wanted; writing one chooses it.
for (const field of document.querySelectorAll("input[name=apply_at]")) {
  const choose = field.closest("fieldset")?.querySelector("input[name=when][value=time]");
  field.addEventListener("input", () => { if (choose && field.value) choose.checked = true; });
  field.addEventListener("focus", () => { if (choose) choose.checked = true; });
}

// Long differences push the buttons off the screen: show them at the lower edge then.
const thumb = document.querySelector(".rq-thumb:has([data-opens])");
const head = document.querySelector(".fs-page-head .fs-actions");
if (thumb && head) {
  new IntersectionObserver(([entry]) => thumb.classList.toggle("rq-thumb-on", !entry.isIntersecting)).observe(head);
}

// Whoever has had the page before them for three seconds has seen the content, so that later edits can be shown to them.
const look = document.querySelector("form[data-look]");
if (look) {
  let timer;
  const watch = () => {
    clearTimeout(timer);
    if (document.visibilityState === "visible") timer = setTimeout(remember, 3000);
  };
  const remember = () => {
    document.removeEventListener("visibilitychange", watch);
    fetch(look.action, { method: "POST", body: new FormData(look), redirect: "manual" }).catch(() => {});
  };
  document.addEventListener("visibilitychange", watch);
  watch();
}
