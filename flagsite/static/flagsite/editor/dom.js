// Building elements without markup strings: text is always text, whatever somebody typed into a flag.

let counter = 0;

export function uniqueId(prefix = "fe") {
  counter += 1;
  return `${prefix}-${counter}`;
}

// props: `class`, `onInput`-style listeners, everything else as attribute (true sets it empty, false and null leave it out).
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on") && typeof value === "function") {
      element.addEventListener(name.slice(2).toLowerCase(), value);
    } else if (name === "value" || name === "checked" || name === "selected" || name === "disabled") {
      element[name] = value;
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  append(element, children);
  return element;
}

export function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

export function replace(element, ...children) {
  element.replaceChildren();
  return append(element, children);
}

export function icon(name) {
  return h("span", { class: "material-symbols-outlined fe-icon", "aria-hidden": "true" }, name);
}

// `key` names the control across renders, so that focus stays where the person is.
export function button(label, { symbol, onClick, key, kind = "", title, disabled = false, iconOnly = false, pressed } = {}) {
  return h(
    "button",
    {
      type: "button",
      class: `fe-button ${kind} ${iconOnly ? "fe-button-icon" : ""}`.trim(),
      title: title || (iconOnly ? label : null),
      "aria-label": iconOnly ? label : null,
      "aria-pressed": pressed === undefined ? null : String(pressed),
      "data-key": key,
      disabled,
      onClick,
    },
    symbol ? icon(symbol) : null,
    iconOnly ? null : label,
  );
}

// A labelled control. `path` says which part of the document it edits; problems of that part appear under it.
export function field(label, control, { path, hint, hidden = false, kind = "" } = {}) {
  const id = control.id || uniqueId("control");
  control.id = id;
  return h(
    "div",
    { class: `fe-field ${kind}`.trim(), "data-path": path },
    h("label", { for: id, class: hidden ? "fe-visually-hidden" : "fe-label" }, label),
    control,
    hint ? h("p", { class: "fe-hint" }, hint) : null,
  );
}

// options: [value, label] pairs, or {label, options} groups.
export function select(options, current, { onChange, key, label, kind = "" } = {}) {
  const element = h("select", { class: `fe-input fe-select ${kind}`.trim(), "data-key": key, "aria-label": label, onChange });
  const known = options.flatMap((entry) => (entry.options || [entry]).map(([value]) => value));
  if (current !== undefined && current !== null && !known.includes(current)) {
    element.append(h("option", { value: current, selected: true }, `${current} (unknown)`));
  }
  for (const entry of options) {
    element.append(entry.options ? h("optgroup", { label: entry.label }, entry.options.map(option)) : option(entry));
  }
  element.value = current ?? "";
  return element;

  function option([value, text]) {
    return h("option", { value, selected: value === current }, text);
  }
}

// Runs `draw`, then puts focus and caret back on the control that had them before.
export function keepingFocus(root, draw, wanted) {
  const active = root.contains(document.activeElement) ? document.activeElement : null;
  const key = wanted || active?.dataset.key;
  const caret = !wanted && active && "selectionStart" in active ? safeSelection(active) : null;
  draw();
  if (!key) return;
  const target = root.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (!target) return;
  target.focus({ preventScroll: !wanted });
  if (wanted) target.scrollIntoView({ block: "nearest" });
  if (caret !== null && "setSelectionRange" in target) {
    try {
      target.setSelectionRange(caret, caret);
    } catch {
      // Number, date and checkbox inputs have no caret.
    }
  }
}

function safeSelection(element) {
  try {
    return element.selectionStart;
  } catch {
    return null;
  }
}
