// Every operator in words, and which kind of value it compares with.

const GROUPS = [
  ["Text", [
    ["equals", "is", "scalar"],
    ["not_equals", "is not", "scalar"],
    ["in", "is one of", "list"],
    ["not_in", "is none of", "list"],
    ["contains", "contains", "text"],
    ["not_contains", "does not contain", "text"],
    ["starts_with", "starts with", "text"],
    ["not_starts_with", "does not start with", "text"],
    ["ends_with", "ends with", "text"],
    ["not_ends_with", "does not end with", "text"],
  ]],
  ["Number", [
    ["number_equals", "equals the number", "number"],
    ["less_than", "is less than", "number"],
    ["less_or_equal", "is at most", "number"],
    ["greater_than", "is more than", "number"],
    ["greater_or_equal", "is at least", "number"],
  ]],
  ["Version", [
    ["version_equals", "is version", "version"],
    ["version_less_than", "is older than version", "version"],
    ["version_less_or_equal", "is version … or older", "version"],
    ["version_greater_than", "is newer than version", "version"],
    ["version_greater_or_equal", "is version … or newer", "version"],
    ["version_same_major", "has the same major version as", "version"],
    ["version_same_minor", "has the same major and minor version as", "version"],
  ]],
  ["Date", [
    ["before", "is before", "instant"],
    ["after", "is after", "instant"],
  ]],
  ["Yes or no", [
    ["is_set", "is set", "none"],
    ["is_not_set", "is not set", "none"],
    ["is_true", "is true", "none"],
    ["is_false", "is false", "none"],
  ]],
];

export const OPERATORS = new Map(
  GROUPS.flatMap(([, entries]) => entries.map(([name, words, kind]) => [name, { words, kind }])),
);

export const OPERATOR_OPTIONS = GROUPS.map(([label, entries]) => ({
  label,
  options: entries.map(([name, words]) => [name, words]),
}));

export function kindOf(operator) {
  return OPERATORS.get(operator)?.kind ?? "scalar";
}

// The value a condition keeps when its operator changes: as much of the old one as fits.
export function convertedValue(value, from, to) {
  const before = kindOf(from);
  const after = kindOf(to);
  if (before === after) return value;
  if (after === "none") return null;
  if (after === "list") return isEmpty(value) || Array.isArray(value) || typeof value === "boolean" ? [] : [value];
  const single = Array.isArray(value) ? value[0] : value;
  if (isEmpty(single)) return "";
  if (after === "number") return Number.isFinite(Number(single)) && typeof single !== "boolean" ? Number(single) : "";
  if (after === "instant") return "";
  return after === "scalar" ? single : String(single);
}

function isEmpty(value) {
  return value === null || value === undefined || value === "";
}
