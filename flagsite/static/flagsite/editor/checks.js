// What can be said without asking the server. The server checks everything again.

import { splitSum, TOTAL_WEIGHT } from "./model.js";
import { kindOf } from "./operators.js";
import { shareText } from "./words.js";

const MAX_TARGET_KEYS = 10000;
const MAX_KEY_CHARACTERS = 1024;

export function checkConfig(document) {
  const problems = [];
  const names = document.variants.map((variant) => variant.name);
  document.rules.forEach((rule, index) => {
    const path = `rules[${index}]`;
    checkCondition(rule.condition ?? null, `${path}.condition`, problems);
    checkServe(rule.serve, `${path}.serve`, names, problems);
    checkSpread(rule, path, problems);
  });
  checkTargets(document.targets ?? [], problems);
  (document.prerequisites ?? []).forEach((entry, index) => checkPrerequisite(entry, `prerequisites[${index}]`, problems));
  return problems;
}

function checkSpread(rule, path, problems) {
  const [from, to] = [rule.starts_at, rule.ends_at].map((text) => (text ? new Date(text).getTime() : null));
  if (from !== null && to !== null && from >= to) problems.push({ path: `${path}.ends_at`, message: "The end must come after the start." });
  if (rule.bucket_by?.includes(".")) problems.push({ path: `${path}.bucket_by`, message: "Name an attribute without dots." });
}

// Each key gets one variant: the first list that names it, in the order of the document, keeps it.
function checkTargets(targets, problems) {
  const owner = new Map();
  let count = 0;
  targets.forEach((entry, index) => {
    const path = `targets[${index}].keys`;
    count += entry.keys.length;
    const twice = entry.keys.find((key) => owner.has(key) || (owner.set(key, entry.variant), false));
    if (twice !== undefined) {
      const other = owner.get(twice);
      problems.push({ path, message: other === entry.variant ? `“${twice}” stands there twice.` : `“${twice}” is named for ${other} too. Name each key once.` });
    }
    const long = entry.keys.find((key) => key.length > MAX_KEY_CHARACTERS);
    if (long) problems.push({ path, message: `“${long.slice(0, 40)}…” is longer than ${MAX_KEY_CHARACTERS} characters.` });
  });
  if (count > MAX_TARGET_KEYS) problems.push({ path: "targets", message: `${count.toLocaleString("en")} keys are named; at most ${MAX_TARGET_KEYS.toLocaleString("en")} are allowed. Make a segment from an attribute instead.` });
}

function checkPrerequisite(entry, path, problems) {
  if (!entry.flag) problems.push({ path: `${path}.flag`, message: "Choose the flag this one needs." });
  else if (!entry.variants?.length) problems.push({ path: `${path}.variants`, message: "Choose at least one variant it must serve." });
}

function checkServe(serve, path, names, problems) {
  if (!serve.split) {
    if (!names.includes(serve.variant)) problems.push({ path: `${path}.variant`, message: "Choose the variant to serve." });
    return;
  }
  const sum = splitSum(serve.split);
  serve.split.forEach((part, index) => {
    if (!Number.isInteger(part.weight)) {
      problems.push({ path: `${path}.split[${index}].weight`, message: "Write a share from 0 to 100 with up to three decimals." });
    }
  });
  if (sum !== TOTAL_WEIGHT) problems.push({ path: `${path}.split`, message: `The shares must add up to 100 %, not ${shareText(sum)}.` });
}

export function checkCondition(condition, path, problems) {
  if (condition === null) return;
  for (const join of ["and", "or"]) {
    if (Array.isArray(condition[join])) {
      condition[join].forEach((part, index) => checkCondition(part, `${path}.${join}[${index}]`, problems));
      return;
    }
  }
  if (condition.not) {
    checkCondition(condition.not, `${path}.not`, problems);
    return;
  }
  if ("segment" in condition) {
    if (!condition.segment) problems.push({ path: `${path}.segment`, message: "Choose a segment." });
    return;
  }
  if (!condition.attribute) problems.push({ path: `${path}.attribute`, message: "Name the attribute to look at, for example plan." });
  const wrong = valueProblem(condition);
  if (wrong) problems.push({ path: `${path}.value`, message: wrong });
}

function valueProblem({ operator, value }) {
  const kind = kindOf(operator);
  if (kind === "none") return "";
  if (kind === "list") return Array.isArray(value) && value.length ? "" : "Add at least one value.";
  if (kind === "number") return typeof value === "number" ? "" : "Write a number.";
  if (kind === "version") return /^v?\d+(\.\d+){0,2}/i.test(value ?? "") ? "" : "Write a version like 2.10.0.";
  if (kind === "instant") return value ? "" : "Choose a date and time.";
  return "";
}
