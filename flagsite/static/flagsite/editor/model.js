// Questions to and changes of the config document. Nothing here touches the page.

export const TOTAL_WEIGHT = 100000;

export function isRecord(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

// Whether the builder can draw the document; anything else is left to the JSON tab and the server's words.
export function isDrawable(document) {
  return (
    isRecord(document) &&
    Array.isArray(document.variants) &&
    document.variants.every((variant) => isRecord(variant) && typeof variant.name === "string") &&
    Array.isArray(document.rules) &&
    document.rules.every((rule) => isRecord(rule) && isServe(rule.serve) && isCondition(rule.condition ?? null) && RULE_TEXTS.every((name) => isText(rule[name]))) &&
    listOf(document.targets, (entry) => typeof entry.variant === "string" && isTextList(entry.keys)) &&
    listOf(document.prerequisites, (entry) => isText(entry.flag) && isTextList(entry.variants))
  );
}

const RULE_TEXTS = ["salt", "bucket_by", "starts_at", "ends_at"];

function isText(value) {
  return value === undefined || value === null || typeof value === "string";
}

function isTextList(value) {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function listOf(value, isGood) {
  return value === undefined || (Array.isArray(value) && value.every((entry) => isRecord(entry) && isGood(entry)));
}

function isServe(serve) {
  if (!isRecord(serve)) return false;
  if ("split" in serve) return Array.isArray(serve.split) && serve.split.every(isRecord);
  return typeof serve.variant === "string" || serve.variant === undefined;
}

export function isCondition(condition, depth = 0) {
  if (condition === null) return true;
  if (!isRecord(condition) || depth > 30) return false;
  for (const name of ["and", "or"]) {
    if (name in condition) {
      return Array.isArray(condition[name]) && condition[name].every((part) => part !== null && isCondition(part, depth + 1));
    }
  }
  if ("not" in condition) return condition.not !== null && isCondition(condition.not, depth + 1);
  return "segment" in condition || "operator" in condition || "attribute" in condition;
}

export function variantNames(document) {
  return document.variants.map((variant) => variant.name);
}

export function freshRuleId(document) {
  const taken = new Set(document.rules.map((rule) => rule.id));
  let number = document.rules.length + 1;
  while (taken.has(`r${number}`)) number += 1;
  return `r${number}`;
}

export function freshVariantName(document) {
  const taken = new Set(variantNames(document));
  let number = taken.size + 1;
  while (taken.has(`variant-${number}`)) number += 1;
  return `variant-${number}`;
}

export function freshCondition() {
  return { attribute: "", operator: "equals", value: "" };
}

// Follow a renamed variant everywhere the document refers to it.
export function renameVariant(document, from, to) {
  if (document.default_variant === from) document.default_variant = to;
  if (document.off_variant === from) document.off_variant = to;
  for (const entry of document.targets ?? []) if (entry.variant === from) entry.variant = to;
  const withdrawal = document.deprecation?.withdrawal;
  if (withdrawal?.serves === from) withdrawal.serves = to;
  for (const rule of document.rules) {
    if (rule.serve.variant === from) rule.serve.variant = to;
    for (const part of rule.serve.split ?? []) if (part.variant === from) part.variant = to;
  }
}

export function usesOfVariant(document, name) {
  const uses = [];
  if (document.off_variant === name) uses.push("when switched off");
  if (document.default_variant === name) uses.push("for everyone else");
  if (targetKeys(document, name).length) uses.push("to individual targets");
  if (document.deprecation?.withdrawal?.serves === name) uses.push("to those who are withdrawn");
  document.rules.forEach((rule, index) => {
    const served = rule.serve.split ? rule.serve.split.some((part) => part.variant === name) : rule.serve.variant === name;
    if (served) uses.push(`in rule ${index + 1}`);
  });
  return uses;
}

export function isForEveryone(rule) {
  return (rule.condition ?? null) === null;
}

// A rule that leaves nobody to those below it, at any time.
export function decidesForAll(rule) {
  return isForEveryone(rule) && !rule.starts_at && !rule.ends_at;
}

// The last rule when it speaks of everyone: what the quick control edits.
export function everyoneRule(document) {
  const last = document.rules.at(-1);
  return last && decidesForAll(last) ? last : null;
}

// ---------------------------------------------------------------- individual targets

export function targetKeys(document, variant) {
  return document.targets?.find((entry) => entry.variant === variant)?.keys ?? [];
}

export function targetCount(document) {
  return (document.targets ?? []).reduce((sum, entry) => sum + (entry.keys?.length ?? 0), 0);
}

// A list without keys says nothing, and neither does a field without lists.
export function setTargetKeys(document, variant, keys) {
  const entry = document.targets?.find((item) => item.variant === variant);
  if (entry && keys.length) entry.keys = keys;
  else if (entry) document.targets = document.targets.filter((item) => item !== entry);
  else if (keys.length) (document.targets ??= []).push({ variant, keys });
  if (!document.targets?.length) delete document.targets;
}

// key -> the other variant it is named for
export function otherVariantsOf(document, variant) {
  const others = (document.targets ?? []).filter((entry) => entry.variant !== variant);
  return new Map(others.flatMap((entry) => entry.keys.map((key) => [key, entry.variant])));
}

// The variant a rollout grows: true for booleans, else the first that is neither the default nor the off variant.
export function growingVariant(document) {
  const named = (name) => document.variants.find((variant) => variant.name === name);
  const rule = everyoneRule(document);
  const listed = rule?.serve.split?.length ? rule.serve.split[0].variant : null;
  if (listed && named(listed)) return listed;
  const yes = document.variants.find((variant) => variant.value === true);
  const other = document.variants.find(
    (variant) => variant.name !== document.default_variant && variant.name !== document.off_variant,
  );
  return (yes ?? other ?? document.variants[0])?.name ?? null;
}

// What the remaining people get: the default variant, else the off variant, else any other.
export function restVariant(document, growing) {
  const rule = everyoneRule(document);
  const partner = rule?.serve.split?.find((part) => part.variant !== growing)?.variant;
  const wanted = [partner, document.default_variant, document.off_variant, ...variantNames(document)];
  return wanted.find((name) => name && name !== growing && variantNames(document).includes(name)) ?? null;
}

// The share of everyone that gets `growing` now, null when the rule is too rich for one number.
export function everyoneShare(document, growing) {
  const rule = everyoneRule(document);
  if (!rule) return document.default_variant === growing ? TOTAL_WEIGHT : 0;
  if (!rule.serve.split) return rule.serve.variant === growing ? TOTAL_WEIGHT : 0;
  if (rule.serve.split.length > 2) return null;
  const part = rule.serve.split.find((entry) => entry.variant === growing);
  return part ? part.weight : 0;
}

// Serve `growing` to `weight` of everyone and `rest` to the others, through the trailing rule for everyone.
// The order of an existing split stays as it is: it decides who is in.
export function setEveryoneShare(document, growing, rest, weight) {
  let rule = everyoneRule(document);
  if (!rule) {
    rule = { id: freshRuleId(document), description: "Everyone", condition: null, serve: {} };
    document.rules.push(rule);
  }
  const restWeight = typeof weight === "number" ? TOTAL_WEIGHT - weight : TOTAL_WEIGHT;
  const split = rule.serve.split;
  const names = split?.map((part) => part.variant) ?? [];
  if (split?.length === 2 && names.includes(growing) && names.includes(rest)) {
    for (const part of split) part.weight = part.variant === growing ? weight : restWeight;
  } else {
    rule.serve = { split: [{ variant: growing, weight }, { variant: rest, weight: restWeight }] };
  }
}

// "12.5" -> 12500. Anything that is not a share with up to three decimals stays the text it is, for the server to refuse.
export function weightFromText(text) {
  const tidy = text.trim().replace(",", ".").replace(/\s*%$/, "");
  if (!/^\d{1,3}(\.\d{1,3})?$/.test(tidy)) return text;
  const [whole, decimals = ""] = tidy.split(".");
  const weight = Number(whole) * 1000 + Number(decimals.padEnd(3, "0"));
  return weight <= TOTAL_WEIGHT ? weight : text;
}

export function textFromWeight(weight) {
  if (!Number.isInteger(weight)) return weight === undefined || weight === null ? "" : String(weight);
  return String(weight / 1000);
}

export function splitSum(split) {
  return split.reduce((sum, part) => sum + (Number.isInteger(part.weight) ? part.weight : 0), 0);
}

export function knownAttributes(document, more = []) {
  const found = new Set(["targetingKey", ...more]);
  const visit = (condition) => {
    if (!isRecord(condition)) return;
    if (typeof condition.attribute === "string" && condition.attribute) found.add(condition.attribute);
    for (const part of [condition.and, condition.or].filter(Array.isArray).flat()) visit(part);
    if (condition.not) visit(condition.not);
  };
  for (const rule of document?.rules ?? []) {
    visit(rule.condition);
    if (typeof rule.bucket_by === "string" && rule.bucket_by) found.add(rule.bucket_by);
  }
  return [...found].sort();
}

// Equality of JSON values; the order of keys says nothing.
export function sameJson(a, b) {
  return canonical(a) === canonical(b);
}

function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (isRecord(value)) {
    return `{${Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(",")}}`;
  }
  return JSON.stringify(value) ?? "null";
}
