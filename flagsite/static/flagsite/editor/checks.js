// What can be said without asking the server. The server checks everything again.

import { splitSum, TOTAL_WEIGHT } from "./model.js";
import { kindOf } from "./operators.js";
import { shareText } from "./words.js";

export function checkConfig(document) {
  const problems = [];
  const names = document.variants.map((variant) => variant.name);
  document.rules.forEach((rule, index) => {
    const path = `rules[${index}]`;
    checkCondition(rule.condition ?? null, `${path}.condition`, problems);
    checkServe(rule.serve, `${path}.serve`, names, problems);
  });
  return problems;
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
