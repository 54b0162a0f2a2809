// Serving by percentage: shares with up to three decimals, held as integer weights of 100,000.

import { button, field, h, select } from "./dom.js";
import { splitSum, textFromWeight, TOTAL_WEIGHT, variantNames, weightFromText } from "./model.js";
import { shareText } from "./words.js";

export function shareBar(ctx, parts, { label } = {}) {
  const segments = parts
    .filter((part) => Number.isInteger(part.weight) && part.weight > 0)
    .map((part) => h(
      "span",
      { class: `fe-bar-part ${ctx.colour(part.variant)}`, style: `flex-grow:${part.weight}`, title: `${shareText(part.weight)} ${part.variant}` },
      part.weight < 18000 ? "" : part.weight < 40000 ? shareText(part.weight) : `${shareText(part.weight)} ${part.variant}`,
    ));
  return h("div", { class: "fe-bar", role: "img", "aria-label": label ?? parts.map((part) => `${shareText(part.weight)} ${part.variant}`).join(", ") }, segments);
}

export function splitEditor(ctx, rule, path) {
  const split = rule.serve.split;
  const bar = h("div", {});
  const sum = h("p", { class: "fe-sum", "aria-live": "polite", "data-path": `${path}.serve.split` });
  const inputs = [];
  ctx.live(() => {
    bar.replaceChildren(shareBar(ctx, split));
    drawSum(ctx, sum, split, inputs, path);
  });
  const rows = split.map((_, index) => shareRow(ctx, rule, index, path, inputs));
  return h(
    "div",
    { class: "fe-split" },
    bar,
    rows,
    h("div", { class: "fe-split-foot" }, addShare(ctx, split, path), sum),
    h("p", { class: "fe-hint" }, "The first variant is the one that grows: raising its share keeps everyone who already has it."),
  );
}

function shareRow(ctx, rule, index, path, inputs) {
  const split = rule.serve.split;
  const part = split[index];
  const here = `${path}.serve.split[${index}]`;
  const share = h("input", {
    type: "text",
    inputmode: "decimal",
    class: "fe-input fe-share",
    value: textFromWeight(part.weight),
    autocomplete: "off",
    "data-key": `${here}.weight`,
    onInput: (event) => ctx.touch(() => {
      part.weight = weightFromText(event.target.value);
      completeOther(split, index, inputs);
    }),
  });
  inputs[index] = share;
  const variant = select(variantNames(ctx.doc).map((name) => [name, name]), part.variant, {
    key: `${here}.variant`,
    onChange: (event) => ctx.edit(() => { part.variant = event.target.value; }),
  });
  return h(
    "div",
    { class: "fe-share-row", "data-path": here },
    h("span", { class: `fe-dot ${ctx.colour(part.variant)}`, "aria-hidden": "true" }),
    field(`Share ${index + 1} in percent`, share, { path: `${here}.weight`, hidden: true }),
    h("span", { class: "fe-unit", "aria-hidden": "true" }, "% get"),
    field(`Variant of share ${index + 1}`, variant, { path: `${here}.variant`, hidden: true }),
    index
      ? button(`Put ${part.variant} first`, {
          symbol: "arrow_upward",
          iconOnly: true,
          key: `${here}.up`,
          title: "Move up. Careful: the order decides who is in which share.",
          onClick: () => ctx.edit(() => split.splice(index - 1, 0, ...split.splice(index, 1))),
        })
      : h("span", { class: "fe-grows" }, "grows"),
    button(`Remove the share of ${part.variant}`, {
      symbol: "close",
      iconOnly: true,
      key: `${here}.remove`,
      disabled: split.length < 2,
      onClick: () => ctx.edit(() => split.splice(index, 1)),
    }),
  );
}

// With two shares, one follows from the other.
function completeOther(split, index, inputs) {
  if (split.length !== 2 || !Number.isInteger(split[index].weight)) return;
  const other = 1 - index;
  split[other].weight = TOTAL_WEIGHT - split[index].weight;
  inputs[other].value = textFromWeight(split[other].weight);
}

function addShare(ctx, split, path) {
  const used = new Set(split.map((part) => part.variant));
  const free = variantNames(ctx.doc).filter((name) => !used.has(name));
  return button("Add a variant to the split", {
    symbol: "add",
    key: `${path}.serve.addShare`,
    disabled: !free.length,
    title: free.length ? null : "Every variant has a share already.",
    onClick: () => ctx.edit(() => split.push({ variant: free[0], weight: Math.max(0, TOTAL_WEIGHT - splitSum(split)) })),
  });
}

function drawSum(ctx, place, split, inputs, path) {
  const unreadable = split.some((part) => !Number.isInteger(part.weight));
  const missing = TOTAL_WEIGHT - splitSum(split);
  place.classList.toggle("fe-sum-wrong", unreadable || missing !== 0);
  if (unreadable) {
    place.replaceChildren("Write each share as a number from 0 to 100 with up to three decimals.");
    return;
  }
  if (!missing) {
    place.replaceChildren("Adds up to 100 %.");
    return;
  }
  const target = fixTarget(split, missing);
  const text = missing > 0 ? `Adds up to ${shareText(TOTAL_WEIGHT - missing)}, ${shareText(missing)} is missing. ` : `Adds up to ${shareText(TOTAL_WEIGHT - missing)}, that is ${shareText(-missing)} too much. `;
  place.replaceChildren(text);
  if (target === null) return;
  const label = missing > 0 ? `Give the rest to ${split[target].variant}` : `Take it from ${split[target].variant}`;
  place.append(button(label, {
    key: `${path}.serve.fix`,
    kind: "fe-button-small",
    onClick: () => ctx.touch(() => {
      split[target].weight += missing;
      inputs[target].value = textFromWeight(split[target].weight);
      inputs[target].focus();
    }),
  }));
}

// The last share that can take the difference: the first one is what somebody is growing on purpose.
function fixTarget(split, missing) {
  for (let index = split.length - 1; index >= 0; index -= 1) {
    if (split[index].weight + missing >= 0) return index;
  }
  return null;
}
