// The variants of the flag: name, typed value, description.

import { button, field, h } from "./dom.js";
import { freshVariantName, renameVariant, usesOfVariant, variantNames } from "./model.js";
import { variantValueInput } from "./values.js";

const EMPTY_VALUE = { boolean: false, string: "", integer: 0, float: 0, object: {} };
const TYPE_WORDS = { boolean: "true or false", string: "text", integer: "whole number", float: "number", object: "JSON object" };

export function variantsSection(ctx) {
  const variants = ctx.doc.variants;
  return h(
    "div",
    { class: "fe-variants", "data-path": "variants" },
    h("p", { class: "fe-hint" }, `What applications can get. Every value of this flag is a ${TYPE_WORDS[ctx.meta.valueType] ?? "value"}.`),
    variants.map((variant, index) => variantRow(ctx, variant, index)),
    button("Add a variant", {
      symbol: "add",
      key: "variants.add",
      disabled: variants.length >= 50,
      onClick: () => {
        const path = `variants[${variants.length}]`;
        ctx.edit(() => variants.push(freshVariant(ctx)), `${path}.name`);
      },
    }),
  );
}

export function variantChips(ctx) {
  return ctx.doc.variants.slice(0, 6).map((variant) => h("span", { class: `fe-pill ${ctx.colour(variant.name)}` }, h("span", { class: `fe-dot ${ctx.colour(variant.name)}`, "aria-hidden": "true" }), `${variant.name} = ${shortValue(variant.value)}`));
}

function shortValue(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > 24 ? `${text.slice(0, 23)}…` : text;
}

function freshVariant(ctx) {
  return { name: freshVariantName(ctx.doc), value: structuredClone(EMPTY_VALUE[ctx.meta.valueType] ?? ""), description: "" };
}

function variantRow(ctx, variant, index) {
  const path = `variants[${index}]`;
  const uses = usesOfVariant(ctx.doc, variant.name);
  const name = h("input", {
    type: "text",
    class: "fe-input",
    value: variant.name,
    autocomplete: "off",
    spellcheck: "false",
    "data-key": `${path}.name`,
    onChange: (event) => rename(ctx, variant, event.target),
  });
  const description = h("input", {
    type: "text",
    class: "fe-input",
    value: variant.description ?? "",
    "data-key": `${path}.description`,
    onInput: (event) => ctx.touch(() => { variant.description = event.target.value; }),
  });
  return h(
    "div",
    { class: "fe-variant", "data-path": path },
    h("span", { class: `fe-dot ${ctx.colour(variant.name)}`, "aria-hidden": "true" }),
    field("Name", name, { path: `${path}.name` }),
    field("Value", variantValueInput(ctx, variant, `${path}.value`), { path: `${path}.value` }),
    field("Description (optional)", description, { path: `${path}.description`, kind: "fe-grow" }),
    button(`Remove the variant ${variant.name}`, {
      symbol: "delete",
      iconOnly: true,
      key: `${path}.remove`,
      disabled: uses.length > 0 || ctx.doc.variants.length < 2,
      title: uses.length ? `Served ${uses.join(", ")}: serve something else there first.` : "Remove this variant",
      onClick: () => ctx.edit(() => ctx.doc.variants.splice(index, 1)),
    }),
  );
}

// A rename follows into every rule; a name that is taken would merge two variants, so it is put back with a word why.
function rename(ctx, variant, input) {
  const wanted = input.value.trim();
  const problem = wanted === "" ? "A variant needs a name." : variantNames(ctx.doc).includes(wanted) && wanted !== variant.name ? `There is already a variant called ${wanted}.` : "";
  input.setCustomValidity(problem);
  if (problem) {
    ctx.say(problem);
    input.reportValidity();
    input.value = variant.name;
    input.setCustomValidity("");
    return;
  }
  ctx.edit(() => {
    renameVariant(ctx.doc, variant.name, wanted);
    variant.name = wanted;
  });
}
