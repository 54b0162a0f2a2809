// Inputs that fit a value. What cannot be read as the wanted type stays in the document as typed, so nothing is lost
// and the server names the problem.

import { button, field, h, select } from "./dom.js";

const CHIPS_SHOWN = 40;

export function numberFromText(text, { whole = false } = {}) {
  const tidy = text.trim();
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(tidy)) return text;
  const number = Number(tidy);
  if (!Number.isFinite(number)) return text;
  if (Number.isInteger(number) ? !Number.isSafeInteger(number) : whole) return text;
  return number;
}

function textInput(value, { onText, key, kind = "", placeholder, mode, label }) {
  return h("input", {
    type: "text",
    class: kind,
    value: value === null || value === undefined ? "" : String(value),
    placeholder,
    inputmode: mode,
    autocomplete: "off",
    spellcheck: "false",
    "data-key": key,
    "aria-label": label,
    onInput: (event) => onText(event.target.value),
  });
}

// ---------------------------------------------------------------- the value of a variant

export function variantValueInput(ctx, variant, key) {
  const type = ctx.meta.valueType;
  const set = (value) => ctx.touch(() => { variant.value = value; });
  if (type === "boolean") {
    return select([["true", "true"], ["false", "false"]], String(variant.value), {
      key,
      onChange: (event) => set(event.target.value === "true"),
    });
  }
  if (type === "integer" || type === "float") {
    const whole = type === "integer";
    return textInput(variant.value, {
      key,
      mode: whole ? "numeric" : "decimal",
      kind: "fe-number",
      onText: (text) => set(numberFromText(text, { whole })),
    });
  }
  if (type === "object") return objectInput(variant, set, key);
  return textInput(variant.value, { key, onText: set });
}

function objectInput(variant, set, key) {
  const text = typeof variant.value === "string" ? variant.value : JSON.stringify(variant.value, null, 2);
  return h("textarea", {
    class: "fe-input fe-code",
    rows: String(Math.min(12, Math.max(3, (text ?? "").split("\n").length))),
    spellcheck: "false",
    "data-key": key,
    value: text ?? "",
    onInput: (event) => set(jsonOrText(event.target.value)),
  });
}

function jsonOrText(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

// ---------------------------------------------------------------- the value of a condition

export function conditionValueInput(ctx, condition, kind, key) {
  if (kind === "none") return null;
  const set = (value) => ctx.touch(() => { condition.value = value; });
  if (kind === "list") return listInput(ctx, condition, key);
  if (kind === "scalar") return scalarInput(ctx, condition, key);
  if (kind === "instant") return instantInput(condition, set, key);
  const options = {
    number: { label: "Number", mode: "decimal", placeholder: "18", read: numberFromText },
    version: { label: "Version", placeholder: "2.10.0", read: (text) => text },
    text: { label: "Text", placeholder: "text", read: (text) => text },
  }[kind];
  const input = textInput(condition.value, { ...options, label: null, key, onText: (text) => set(options.read(text)) });
  return field(options.label, input, { hidden: true });
}

function scalarType(value) {
  if (typeof value === "number") return "number";
  return typeof value === "boolean" ? "boolean" : "text";
}

function scalarInput(ctx, condition, key) {
  const type = scalarType(condition.value);
  const set = (value) => ctx.touch(() => { condition.value = value; });
  const convert = { text: (value) => String(value ?? ""), number: (value) => Number(value) || 0, boolean: (value) => value === "true" || value === true };
  const types = select([["text", "text"], ["number", "number"], ["boolean", "true/false"]], type, {
    key: `${key}.type`,
    label: "Type of the value",
    kind: "fe-select-small",
    onChange: (event) => ctx.edit(() => { condition.value = convert[event.target.value](condition.value); }),
  });
  const input = type === "boolean"
    ? select([["true", "true"], ["false", "false"]], String(condition.value), { key, onChange: (event) => set(event.target.value === "true") })
    : textInput(condition.value, {
        key,
        placeholder: type === "number" ? "42" : "value",
        mode: type === "number" ? "decimal" : null,
        onText: (text) => set(type === "number" ? numberFromText(text) : text),
      });
  return h("div", { class: "fe-value-pair" }, field("Value", input, { hidden: true }), types);
}

// An instant is edited in UTC and rewritten only when somebody changes it: "+01:00" stays as it was written.
function instantInput(condition, set, key) {
  const parsed = condition.value ? new Date(condition.value) : null;
  const readable = !condition.value || (parsed && !Number.isNaN(parsed.getTime()));
  if (!readable) {
    return field("Date and time (RFC 3339)", textInput(condition.value, { key, onText: set }), { hidden: true });
  }
  const input = h("input", {
    type: "datetime-local",
    step: "1",
    class: "fe-input fe-instant",
    value: parsed ? parsed.toISOString().slice(0, 19) : "",
    "data-key": key,
    onInput: (event) => set(event.target.value ? `${event.target.value.padEnd(19, ":00").slice(0, 19)}Z` : ""),
  });
  return h("div", { class: "fe-value-pair" }, field("Date and time in UTC", input, { hidden: true }), h("span", { class: "fe-unit" }, "UTC"));
}

// ---------------------------------------------------------------- lists as chips

function listInput(ctx, condition, key) {
  const values = Array.isArray(condition.value) ? condition.value : [];
  if (ctx.isOpen(condition, "lines")) return linesInput(ctx, condition, values, key);
  const chips = values.slice(0, CHIPS_SHOWN).map((value, index) => chip(ctx, condition, value, index, key));
  const rest = values.length - chips.length;
  return h(
    "div",
    { class: "fe-chips", role: "group", "aria-label": `${values.length} values` },
    chips,
    rest > 0 ? h("span", { class: "fe-chip fe-chip-more" }, `and ${rest} more`) : null,
    chipAdder(ctx, condition, key),
    button("Edit as a list", {
      symbol: "format_list_bulleted",
      iconOnly: true,
      key: `${key}.lines`,
      onClick: () => { ctx.setOpen(condition, "lines", true); ctx.render(`${key}.text`); },
    }),
  );
}

function chip(ctx, condition, value, index, key) {
  return h(
    "span",
    { class: typeof value === "number" ? "fe-chip fe-chip-number" : "fe-chip", title: typeof value === "number" ? "a number" : "a text" },
    String(value),
    button(`Remove ${value}`, {
      symbol: "close",
      iconOnly: true,
      kind: "fe-chip-remove",
      key: `${key}.chip${index}`,
      onClick: () => ctx.edit(() => condition.value.splice(index, 1), `${key}.new`),
    }),
  );
}

function chipAdder(ctx, condition, key) {
  const add = (text, refocus) => {
    const more = splitList(text).map((item) => typed(ctx, condition, item));
    if (!more.length) return;
    ctx.edit(() => {
      const old = Array.isArray(condition.value) ? condition.value : [];
      condition.value = [...old, ...more.filter((item) => !old.includes(item))];
    }, refocus ? `${key}.new` : undefined);
  };
  const input = h("input", {
    type: "text",
    class: "fe-chip-input",
    placeholder: "add, then Enter",
    "aria-label": "Add a value to the list",
    autocomplete: "off",
    "data-key": `${key}.new`,
    onKeydown: (event) => {
      if (event.key === "Enter" || (event.key === "," && event.target.value)) {
        event.preventDefault();
        add(event.target.value, true);
      } else if (event.key === "Backspace" && !event.target.value && condition.value?.length) {
        event.preventDefault();
        ctx.edit(() => condition.value.pop(), `${key}.new`);
      }
    },
    onPaste: (event) => {
      const text = event.clipboardData?.getData("text") ?? "";
      if (!/[\n,;\t]/.test(text)) return;
      event.preventDefault();
      add(text, true);
    },
    onBlur: (event) => { if (event.target.value.trim()) add(event.target.value, false); },
  });
  const isEmpty = !condition.value?.length;
  return h("span", { class: "fe-chip-adder" }, input, isEmpty ? listTypeToggle(ctx, condition, key) : null);
}

// New entries of a list of numbers are numbers; a first entry that looks like one stays a text until somebody says otherwise.
function listIsNumbers(ctx, condition) {
  const values = Array.isArray(condition.value) ? condition.value : [];
  if (!values.length) return ctx.isOpen(condition, "numbers");
  return values.every((value) => typeof value === "number");
}

function typed(ctx, condition, text) {
  return listIsNumbers(ctx, condition) ? numberFromText(text) : text;
}

function listTypeToggle(ctx, condition, key) {
  const numbers = listIsNumbers(ctx, condition);
  return select([["text", "texts"], ["number", "numbers"]], numbers ? "number" : "text", {
    key: `${key}.type`,
    label: "Type of the values",
    kind: "fe-select-small",
    onChange: (event) => {
      const wantsNumbers = event.target.value === "number";
      ctx.setOpen(condition, "numbers", wantsNumbers);
      ctx.edit(() => {
        const values = Array.isArray(condition.value) ? condition.value : [];
        condition.value = values.map((value) => (wantsNumbers ? numberFromText(String(value)) : String(value)));
      });
    },
  });
}

function splitList(text) {
  return text.split(/[\n,;\t]/).map((item) => item.trim()).filter(Boolean);
}

function linesInput(ctx, condition, values, key) {
  const numbers = listIsNumbers(ctx, condition);
  const area = h("textarea", {
    class: "fe-input fe-code",
    rows: "6",
    spellcheck: "false",
    "data-key": `${key}.text`,
    value: values.join("\n"),
    onChange: (event) => ctx.touch(() => {
      const items = event.target.value.split("\n").map((item) => item.trim()).filter(Boolean);
      condition.value = items.map((item) => (numbers ? numberFromText(item) : item));
    }),
  });
  return h(
    "div",
    { class: "fe-lines" },
    field(`One value per line (${values.length})`, area),
    listTypeToggle(ctx, condition, key),
    button("Done", { key: `${key}.done`, onClick: () => { ctx.setOpen(condition, "lines", false); ctx.render(`${key}.new`); } }),
  );
}
