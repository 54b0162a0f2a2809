// Messages next to the controls they speak of, and a list of all of them with a way to get there.

import { button, h, uniqueId } from "./dom.js";

// The element that shows the deepest part of `path` that is on the page.
export function placeOf(root, path) {
  let wanted = path;
  while (wanted) {
    const element = root.querySelector(`[data-path="${CSS.escape(wanted)}"]`);
    if (element) return element;
    wanted = parentPath(wanted);
  }
  return null;
}

function parentPath(path) {
  return path.replace(/(\.[^.[\]]+|\[\d+\]|^[^.[\]]+)$/, "");
}

export function covers(path, problemPath) {
  return problemPath === path || problemPath.startsWith(`${path}.`) || problemPath.startsWith(`${path}[`);
}

export function clearProblems(root) {
  for (const note of root.querySelectorAll(".fe-problem:not([data-slot])")) note.remove();
  for (const control of root.querySelectorAll("[aria-invalid]")) {
    control.removeAttribute("aria-invalid");
    control.removeAttribute("aria-describedby");
  }
}

export function showProblem(root, problem) {
  const place = placeOf(root, problem.path);
  if (!place) return;
  const id = uniqueId("problem");
  place.append(h("p", { class: "fe-problem", id }, problem.message));
  const control = place.matches("input,select,textarea") ? place : place.querySelector("input:not([type=radio]), select, textarea");
  if (!control) return;
  control.setAttribute("aria-invalid", "true");
  control.setAttribute("aria-describedby", id);
}

export function problemList(problems, { go }) {
  return h("ul", { class: "fe-problem-list" }, problems.slice(0, 12).map((problem) => h("li", {}, button(`${whereOf(problem.path)}${problem.message}`, { kind: "fe-link", onClick: () => go(problem) }))));
}

export function whereOf(path) {
  const rule = /^rules\[(\d+)\]/.exec(path ?? "");
  if (rule) return `Rule ${Number(rule[1]) + 1}: `;
  const variant = /^variants\[(\d+)\]/.exec(path ?? "");
  if (variant) return `Variant ${Number(variant[1]) + 1}: `;
  const needs = /^prerequisites\[(\d+)\]/.exec(path ?? "");
  if (needs) return `Prerequisite ${Number(needs[1]) + 1}: `;
  if (/^targets\b/.test(path ?? "")) return "Individual targets: ";
  if (/^deprecation\b/.test(path ?? "")) return "How it ends: ";
  return { client_visible: "Browsers and apps: ", prerequisites: "Prerequisites: ", off_variant: "When off: ", default_variant: "For everyone else: ", variants: "Variants: " }[path] ?? "";
}
