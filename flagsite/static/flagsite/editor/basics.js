// The three parts every flag has: the switch with what OFF means, the share of everyone, and the default.

import { button, field, h, icon, replace, select } from "./dom.js";
import { decidesForAll, everyoneShare, growingVariant, restVariant, setEveryoneShare, textFromWeight, TOTAL_WEIGHT, variantNames, weightFromText } from "./model.js";

const PRESETS = [0, 5, 10, 25, 50, 100];

function variantOptions(ctx) {
  return variantNames(ctx.doc).map((name) => [name, name]);
}

// ---------------------------------------------------------------- the switch

export function switchSection(ctx) {
  const toggle = h("input", {
    type: "checkbox",
    role: "switch",
    class: "fe-switch",
    id: "fe-enabled",
    checked: ctx.doc.enabled === true,
    "data-key": "enabled",
    onChange: (event) => ctx.edit(() => { ctx.doc.enabled = event.target.checked; }),
  });
  const on = ctx.doc.enabled === true;
  return h(
    "div",
    { class: "fe-switch-section" },
    h(
      "div",
      { class: "fe-switch-line", "data-path": "enabled" },
      toggle,
      h("label", { for: "fe-enabled", class: "fe-switch-label" }, on ? "Switched on" : "Switched off", h("span", { class: "fe-hint" }, on ? "The rules below decide who gets what." : "The rules below wait until it is switched on.")),
    ),
    offCards(ctx),
  );
}

function offCards(ctx) {
  const deferred = ctx.doc.off_variant === null;
  const remembered = ctx.memory.offVariant ?? restVariant(ctx.doc, growingVariant(ctx.doc)) ?? variantNames(ctx.doc)[0];
  const picker = select(variantOptions(ctx), deferred ? remembered : ctx.doc.off_variant, {
    key: "off_variant.variant",
    onChange: (event) => ctx.edit(() => { ctx.doc.off_variant = event.target.value; }),
  });
  picker.disabled = deferred;
  const serve = () => ctx.edit(() => { ctx.doc.off_variant = remembered; });
  const defer = () => ctx.edit(() => {
    ctx.memory.offVariant = ctx.doc.off_variant;
    ctx.doc.off_variant = null;
  });
  return h(
    "fieldset",
    { class: "fe-off", "data-path": "off_variant" },
    h("legend", { class: "fe-label" }, ctx.doc.enabled ? "When somebody switches it off" : "While it is switched off"),
    h(
      "div",
      { class: "fe-options" },
      optionCard({
        name: "off",
        key: "off_variant.serve",
        checked: !deferred,
        onChange: serve,
        title: ["Serve the variant ", field("Variant while off", picker, { hidden: true, kind: "fe-inline" })],
        text: "You decide: every application gets this value.",
      }),
      optionCard({
        name: "off",
        key: "off_variant.defer",
        checked: deferred,
        onChange: defer,
        title: "Leave it to the application",
        text: "Flagsite sends no value. Each application uses the code default its developers wrote.",
      }),
    ),
  );
}

function optionCard({ name, key, checked, onChange, title, text }) {
  const id = `fe-${key.replace(".", "-")}`;
  return h(
    "div",
    { class: `fe-option ${checked ? "fe-option-chosen" : ""}` },
    h("input", { type: "radio", name: `fe-${name}`, id, checked, "data-key": key, onChange }),
    h("div", { class: "fe-option-body" }, h("label", { for: id, class: "fe-option-title" }, title), h("p", { class: "fe-hint" }, text)),
  );
}

// ---------------------------------------------------------------- for everyone else

export function defaultSection(ctx) {
  const deferred = ctx.doc.default_variant === null;
  const remembered = ctx.memory.defaultVariant ?? restVariant(ctx.doc, growingVariant(ctx.doc)) ?? variantNames(ctx.doc)[0];
  const picker = select(variantOptions(ctx), deferred ? remembered : ctx.doc.default_variant, {
    key: "default_variant.variant",
    onChange: (event) => ctx.edit(() => { ctx.doc.default_variant = event.target.value; }),
  });
  picker.disabled = deferred;
  return h(
    "fieldset",
    { class: "fe-default", "data-path": "default_variant" },
    h("legend", { class: "fe-visually-hidden" }, "For everyone else"),
    decidedNote(ctx),
    h(
      "div",
      { class: "fe-options" },
      optionCard({
        name: "default",
        key: "default_variant.serve",
        checked: !deferred,
        onChange: () => ctx.edit(() => { ctx.doc.default_variant = remembered; }),
        title: ["Serve the variant ", field("Default variant", picker, { hidden: true, kind: "fe-inline" })],
        text: "For everyone that no rule above fits.",
      }),
      optionCard({
        name: "default",
        key: "default_variant.defer",
        checked: deferred,
        onChange: () => ctx.edit(() => {
          ctx.memory.defaultVariant = ctx.doc.default_variant;
          ctx.doc.default_variant = null;
        }),
        title: "Leave it to the application",
        text: "Flagsite sends no value; the code default decides.",
      }),
    ),
  );
}

// What is left for the default once a rule speaks of everyone.
function decidedNote(ctx) {
  const index = ctx.doc.rules.findIndex(decidesForAll);
  if (index === -1) return null;
  const text = ctx.doc.rules[index].serve.split
    ? `Rule ${index + 1} already decides for everyone. This is only for applications that do not say who is asking (no targeting key).`
    : `Rule ${index + 1} already decides for everyone, so this is not used.`;
  return h("p", { class: "fe-hint" }, text);
}

// ---------------------------------------------------------------- the share of everyone

export function quickSection(ctx) {
  const box = h("div", { class: "fe-quick-box" });
  ctx.live(() => {
    if (!box.contains(document.activeElement)) replace(box, quickContent(ctx));
  });
  return box;
}

function pill(ctx, name) {
  return h("strong", { class: `fe-pill ${ctx.colour(name)}` }, h("span", { class: `fe-dot ${ctx.colour(name)}`, "aria-hidden": "true" }), name);
}

function quickContent(ctx) {
  const names = variantNames(ctx.doc);
  const growing = names.includes(ctx.memory.growing) ? ctx.memory.growing : growingVariant(ctx.doc);
  const rest = restVariant(ctx.doc, growing);
  const share = growing && rest ? everyoneShare(ctx.doc, growing) : null;
  if (share === null) {
    return h("p", { class: "fe-hint" }, rest ? "Everyone is split over more than two variants. Set the shares in the last rule below." : "Add a second variant to roll out by percentage.");
  }
  const set = (weight) => ctx.touch(() => setEveryoneShare(ctx.doc, growing, rest, weight), { structural: true });
  const slider = h("input", {
    type: "range",
    min: "0",
    max: "100",
    step: "1",
    class: `fe-slider ${ctx.colour(growing)}`,
    "aria-label": `Percent of everyone who get ${growing}`,
    "data-key": "quick.slider",
  });
  const share100 = () => (Number.isInteger(share) ? share / 1000 : 0);
  slider.value = String(share100());
  const text = h("input", { type: "text", inputmode: "decimal", id: "fe-quick-share", class: "fe-input fe-share", value: textFromWeight(share), autocomplete: "off", "data-key": "quick.share" });
  const paint = (weight) => slider.style.setProperty("--fe-filled", `${(Number.isInteger(weight) ? weight : 0) / 1000}%`);
  paint(share);
  slider.addEventListener("input", () => {
    text.value = slider.value;
    paint(Number(slider.value) * 1000);
    set(Number(slider.value) * 1000);
  });
  text.addEventListener("input", () => {
    const weight = weightFromText(text.value);
    const isShare = Number.isInteger(weight);
    text.classList.toggle("fe-wrong", !isShare);
    text.setAttribute("aria-invalid", String(!isShare));
    if (!isShare) return;
    slider.value = String(weight / 1000);
    paint(weight);
    set(weight);
  });
  const variant = names.length > 2
    ? select(names.map((name) => [name, name]), growing, { key: "quick.variant", label: "Variant to roll out", onChange: (event) => { ctx.memory.growing = event.target.value; ctx.render(); } })
    : pill(ctx, growing);
  const targeted = ctx.doc.rules.filter((rule) => (rule.condition ?? null) !== null).length;
  const whose = targeted ? "% of everyone else," : "% of everyone,";
  return [
    h("div", { class: "fe-quick-line" }, h("label", { for: "fe-quick-share" }, "Serve"), variant, "to", text, whose, pill(ctx, rest), "to the rest."),
    targeted ? h("p", { class: "fe-hint" }, targeted === 1 ? "Everyone else: whom the rule with a condition below does not fit." : `Everyone else: whom none of the ${targeted} rules with conditions below fits.`) : null,
    slider,
    h("div", { class: "fe-presets", role: "group", "aria-label": "Usual shares" }, PRESETS.map((percent) => button(`${percent} %`, {
      key: `quick.${percent}`,
      kind: "fe-button-small",
      pressed: share === percent * 1000,
      onClick: () => ctx.edit(() => setEveryoneShare(ctx.doc, growing, rest, percent * 1000)),
    }))),
    ctx.doc.enabled ? null : h("p", { class: "fe-warning" }, icon("power_settings_new"), "The flag is switched off, so nobody gets this yet. ", button("Switch it on", { key: "quick.on", kind: "fe-button-small", onClick: () => ctx.edit(() => { ctx.doc.enabled = true; }) })),
  ];
}
