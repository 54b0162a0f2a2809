// The condition builder: rows, groups joined by and/or, a "not" on each, segments. It edits the JSON in place and wraps
// or unwraps nothing that the person did not touch.

import { button, field, h, select } from "./dom.js";
import { freshCondition } from "./model.js";
import { convertedValue, kindOf, OPERATOR_OPTIONS } from "./operators.js";
import { conditionValueInput } from "./values.js";

// slot: {get, set, path}: where a condition lives. `set(null)` at the root means everyone.
export function conditionBuilder(ctx, slot, { segments = true } = {}) {
  const condition = slot.get();
  if (condition === null || condition === undefined) {
    return h(
      "div",
      { class: "fe-everyone", "data-path": slot.path },
      h("p", { class: "fe-everyone-text" }, "Everyone, without any condition."),
      adders(ctx, { segments, key: slot.path, add: (fresh) => { slot.set(fresh); return slot.path; } }),
    );
  }
  return h("div", { class: "fe-condition-root", "data-path": slot.path }, rootContent(ctx, slot, { segments }));
}

function rootContent(ctx, slot, options) {
  const condition = slot.get();
  if (joinOf(condition)) return group(ctx, slot, { ...options, isRoot: true });
  const join = (fresh) => { slot.set({ and: [slot.get(), fresh] }); return `${slot.path}.and[1]`; };
  return [part(ctx, slot, options), adders(ctx, { ...options, key: slot.path, add: join })];
}

function joinOf(condition) {
  if (Array.isArray(condition.and)) return "and";
  return Array.isArray(condition.or) ? "or" : null;
}

// One entry of a group: strip the "not" wrappers off and draw what is inside.
function part(ctx, slot, options) {
  let depth = 0;
  let path = slot.path;
  let inner = slot.get();
  while (inner && "not" in inner) {
    inner = inner.not;
    path += ".not";
    depth += 1;
  }
  const innerSlot = { get: () => inner, set: (value) => slot.set(wrap(value, depth)), path };
  const negate = button(depth > 1 ? `Not ×${depth}` : "Not", {
    key: `${slot.path}.negate`,
    kind: "fe-negate",
    pressed: depth % 2 === 1,
    title: "Turn this condition into its opposite",
    onClick: () => ctx.edit(() => slot.set(depth ? wrap(inner, depth - 1) : { not: inner })),
  });
  const remove = button("Remove this condition", {
    symbol: "delete",
    iconOnly: true,
    key: `${slot.path}.remove`,
    onClick: () => ctx.edit(() => (options.remove ? options.remove() : slot.set(null))),
  });
  const isGroup = Boolean(joinOf(inner));
  const body = isGroup ? group(ctx, innerSlot, options) : leaf(ctx, innerSlot, options);
  return h(
    "div",
    { class: `fe-row ${isGroup ? "fe-row-group" : ""} ${depth % 2 ? "fe-row-negated" : ""}`, "data-path": slot.path },
    negate,
    body,
    remove,
  );
}

function wrap(value, depth) {
  let wrapped = value;
  for (let level = 0; level < depth; level += 1) wrapped = { not: wrapped };
  return wrapped;
}

function group(ctx, slot, options) {
  const condition = slot.get();
  const join = joinOf(condition);
  const list = condition[join];
  const joiner = select([["and", "all of these are true"], ["or", "at least one of these is true"]], join, {
    key: `${slot.path}.join`,
    label: "How the conditions are joined",
    onChange: (event) => ctx.edit(() => slot.set({ [event.target.value]: list })),
  });
  const drop = (index) => () => {
    list.splice(index, 1);
    if (list.length) return;
    if (options.isRoot) slot.set(null);
    else options.remove?.();
  };
  const rows = list.map((_, index) => {
    const child = { get: () => list[index], set: (value) => { list[index] = value; }, path: `${slot.path}.${join}[${index}]` };
    return [
      index ? h("span", { class: "fe-join", "aria-hidden": "true" }, join) : null,
      part(ctx, child, { ...options, isRoot: false, remove: drop(index) }),
    ];
  });
  return h(
    "fieldset",
    { class: `fe-group ${options.isRoot ? "fe-group-root" : ""}`, "data-path": slot.path },
    h("legend", { class: "fe-visually-hidden" }, join === "and" ? "All of these" : "At least one of these"),
    list.length > 1 || !options.isRoot ? h("div", { class: "fe-group-head" }, joiner) : null,
    rows,
    adders(ctx, { ...options, key: slot.path, add: (fresh) => `${slot.path}.${join}[${list.push(fresh) - 1}]` }),
  );
}

function leaf(ctx, slot, options) {
  const condition = slot.get();
  return "segment" in condition && options.segments ? segmentLeaf(ctx, slot) : attributeLeaf(ctx, slot);
}

function segmentLeaf(ctx, slot) {
  const condition = slot.get();
  const choices = ctx.meta.segments.map((segment) => [segment.key, segment.name]);
  const picker = select([["", "Choose a segment…"], ...choices], condition.segment ?? "", {
    key: `${slot.path}.segment`,
    onChange: (event) => ctx.edit(() => { condition.segment = event.target.value; }),
  });
  const chosen = ctx.meta.segments.find((segment) => segment.key === condition.segment);
  return h(
    "div",
    { class: "fe-leaf fe-leaf-segment" },
    h("span", { class: "fe-leaf-word" }, "in segment"),
    field("Segment", picker, { path: `${slot.path}.segment`, hidden: true }),
    chosen ? h("span", { class: "fe-hint" }, chosen.sentence) : null,
  );
}

function attributeLeaf(ctx, slot) {
  const condition = slot.get();
  const attribute = h("input", {
    type: "text",
    class: "fe-input fe-attribute",
    list: ctx.attributeListId,
    value: condition.attribute ?? "",
    placeholder: "attribute, e.g. plan",
    autocomplete: "off",
    spellcheck: "false",
    "data-key": `${slot.path}.attribute`,
    onInput: (event) => ctx.touch(() => { condition.attribute = event.target.value; }),
  });
  const value = h("div", { class: "fe-leaf-value", "data-path": `${slot.path}.value` });
  const drawValue = () => {
    const input = conditionValueInput(ctx, condition, kindOf(condition.operator), `${slot.path}.value`);
    value.hidden = input === null;
    value.replaceChildren(...(input ? [input] : []));
  };
  // The select itself stays: redrawing it would interrupt people who choose by typing.
  const operator = select(OPERATOR_OPTIONS, condition.operator ?? "equals", {
    key: `${slot.path}.operator`,
    onChange: (event) => ctx.touch(() => {
      condition.value = convertedValue(condition.value, condition.operator, event.target.value);
      condition.operator = event.target.value;
      drawValue();
    }),
  });
  drawValue();
  return h(
    "div",
    { class: "fe-leaf" },
    field("Attribute", attribute, { path: `${slot.path}.attribute`, hidden: true }),
    field("Comparison", operator, { path: `${slot.path}.operator`, hidden: true }),
    value,
  );
}

function adders(ctx, { add, key, segments }) {
  // `add` answers with the path of what it placed; focus goes to its first input.
  const place = (fresh, first) => ctx.edit(() => `${add(fresh)}${first}`);
  return h(
    "div",
    { class: "fe-adders" },
    button("Condition", { symbol: "add", key: `${key}.add`, onClick: () => place(freshCondition(), ".attribute") }),
    segments && ctx.meta.segments.length
      ? button("Segment", { symbol: "group_add", key: `${key}.addSegment`, onClick: () => place({ segment: "" }, ".segment") })
      : null,
    button("Group", { symbol: "data_object", key: `${key}.addGroup`, onClick: () => place({ or: [freshCondition()] }, ".or[0].attribute") }),
  );
}
