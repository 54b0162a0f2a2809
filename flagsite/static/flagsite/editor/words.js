// The document in plain words, as the person edits it. The server's sentences decide; these only keep pace with typing.

import { decidesForAll, isForEveryone, textFromWeight } from "./model.js";
import { OPERATORS } from "./operators.js";

const SHOWN = 3;

export function shareText(weight) {
  const text = textFromWeight(weight);
  return text === "" ? "?\u00a0%" : `${text}\u00a0%`;
}

function valueText(value) {
  if (typeof value === "boolean") return value ? "true" : "false";
  return value === "" || value === null || value === undefined ? "…" : String(value);
}

function listText(values) {
  if (!Array.isArray(values) || !values.length) return "…";
  const shown = values.slice(0, SHOWN).map(valueText).join(", ");
  return values.length > SHOWN ? `${shown} and ${values.length - SHOWN} more` : shown;
}

function leafText(condition) {
  const operator = OPERATORS.get(condition.operator);
  const attribute = condition.attribute || "…";
  if (!operator) return `${attribute} ${condition.operator ?? "…"}`;
  if (operator.kind === "none") return `${attribute} ${operator.words}`;
  const value = operator.kind === "list" ? listText(condition.value) : valueText(condition.value);
  if (operator.words.includes("…")) return `${attribute} ${operator.words.replace("…", value)}`;
  return `${attribute} ${operator.words} ${value}`;
}

export function conditionText(condition, names = new Map(), nested = false) {
  if (condition === null || condition === undefined) return "everyone";
  if (condition.and || condition.or) {
    const parts = (condition.and ?? condition.or).map((part) => conditionText(part, names, true));
    const text = parts.length ? parts.join(condition.and ? " and " : " or ") : "…";
    return nested && parts.length > 1 ? `(${text})` : text;
  }
  if (condition.not) return `not ${conditionText(condition.not, names, true)}`;
  if ("segment" in condition) return `in segment ${names.get(condition.segment) ?? (condition.segment || "…")}`;
  return leafText(condition);
}

export function audienceText(rule, names) {
  return isForEveryone(rule) ? "Everyone" : `If ${conditionText(rule.condition, names)}`;
}

export function serveText(serve) {
  if (!serve.split) return serve.variant || "…";
  return serve.split.map((part) => `${shareText(part.weight)} ${part.variant || "…"}`).join(", ");
}

// [{who, gets}] in the order in which rules are asked; the last line is for everyone no rule named.
export function summaryLines(document, names) {
  const lines = [];
  let isFirst = true;
  for (const entry of document.targets ?? []) {
    if (!entry.keys?.length) continue;
    lines.push({ who: `${namedText(entry.keys)}, by name`, serve: { variant: entry.variant } });
    isFirst = false;
  }
  for (const rule of document.rules) {
    const everyone = isForEveryone(rule);
    const who = everyone ? (isFirst ? "Everyone" : "Everyone else") : rule.description || audienceText(rule, names);
    lines.push({ who, serve: rule.serve, rule });
    if (decidesForAll(rule)) return lines;
    isFirst = false;
  }
  const fallback = document.default_variant === null ? { codeDefault: true } : { variant: document.default_variant };
  lines.push({ who: isFirst ? "Everyone" : "Everyone else", serve: fallback });
  return lines;
}

export function namedText(keys) {
  return keys.length > SHOWN ? `${keys.slice(0, SHOWN).join(", ")} and ${(keys.length - SHOWN).toLocaleString("en")} more` : keys.join(", ");
}

export function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
