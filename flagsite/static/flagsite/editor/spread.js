// The quieter parts of a rule: from when to when it holds, and how a split spreads people.

import { button, field, h, icon } from "./dom.js";
import { instantFromWall, wallFromInstant, windowBrief, windowText } from "./times.js";

// What is set under "More", for the closed card.
export function moreBrief(ctx, rule) {
  const parts = [];
  if (rule.starts_at || rule.ends_at) parts.push([windowSymbol(rule), windowBrief(rule, ctx.meta.zone)]);
  if (rule.serve.split && rule.bucket_by) parts.push(["hub", `spread by ${rule.bucket_by}`]);
  return parts.map(([symbol, text]) => h("span", { class: "fe-note", title: symbol === "hub" ? null : ctx.meta.zone }, icon(symbol), text));
}

function windowSymbol(rule) {
  const now = Date.now();
  if (rule.ends_at && new Date(rule.ends_at) <= now) return "event_busy";
  return rule.starts_at && new Date(rule.starts_at) > now ? "event_upcoming" : "event_available";
}

export function moreSection(ctx, rule, path) {
  const isUsed = ["starts_at", "ends_at", "bucket_by", "salt"].some((name) => rule[name] !== undefined);
  const isOpen = ctx.isOpen(rule, "more") || ["starts_at", "ends_at", "bucket_by", "salt"].some((name) => ctx.hasProblem(`${path}.${name}`));
  const details = h(
    "details",
    { class: "fe-more", open: isOpen || isUsed },
    h("summary", { "data-key": `${path}.more` }, rule.serve.split ? "More: only for a time, how people are spread" : "More: only for a time"),
    h("div", { class: "fe-more-body" }, windowFields(ctx, rule, path), rule.serve.split ? spreadFields(ctx, rule, path) : null),
  );
  details.addEventListener("toggle", () => ctx.setOpen(rule, "more", details.open));
  return details;
}

function windowFields(ctx, rule, path) {
  const note = h("p", { class: "fe-hint", "aria-live": "polite" });
  ctx.live(() => { note.textContent = windowNote(ctx, rule); });
  return h(
    "div",
    { class: "fe-window" },
    h("div", { class: "fe-pair" }, instantField(ctx, rule, "starts_at", "Starts", path), instantField(ctx, rule, "ends_at", "Ends", path)),
    note,
  );
}

function windowNote(ctx, rule) {
  if (!rule.starts_at && !rule.ends_at) return "Always. Choose a start or an end, and the rule is skipped outside that time.";
  return `This rule is asked ${windowText(rule, ctx.meta.zone)}; at any other time it is skipped.`;
}

// Wall time in the zone of the installation; stored as an instant, and rewritten only when somebody changes it.
function instantField(ctx, rule, name, label, path) {
  const zone = ctx.meta.zone;
  const wall = wallFromInstant(rule[name], zone);
  const place = `${path}.${name}`;
  if (rule[name] && wall === "") {
    const text = h("input", { type: "text", class: "fe-input", value: rule[name], "data-key": place, onInput: (event) => ctx.touch(() => set(rule, name, event.target.value)) });
    return field(`${label} (date and time with zone)`, text, { path: place });
  }
  const input = h("input", {
    type: "datetime-local",
    step: wall.length > 16 ? "1" : null,
    class: "fe-input fe-instant",
    value: wall,
    "data-key": place,
    onInput: (event) => ctx.touch(() => {
      // An untouched minute keeps its seconds, and its zone as somebody wrote it.
      if (event.target.value !== wallFromInstant(rule[name], zone)) set(rule, name, instantFromWall(event.target.value, zone));
    }),
  });
  const clear = button(`No ${label === "Starts" ? "start" : "end"}`, { kind: "fe-link", key: `${place}.clear`, onClick: () => ctx.edit(() => set(rule, name, ""), place) });
  return h("div", { class: "fe-instant-field" }, field(`${label} (${zone})`, input, { path: place }), rule[name] ? clear : null);
}

function set(rule, name, value) {
  if (value === "") delete rule[name];
  else rule[name] = value;
}

// ---------------------------------------------------------------- how a split spreads people

function spreadFields(ctx, rule, path) {
  const former = ctx.meta.current?.rules?.find((item) => item.id === rule.id && item.serve.split) ?? null;
  return h("div", { class: "fe-spread" }, bucketField(ctx, rule, former, path), saltField(ctx, rule, former, path));
}

function bucketField(ctx, rule, former, path) {
  const input = h("input", {
    type: "text",
    class: "fe-input fe-attribute",
    list: ctx.attributeListId,
    value: rule.bucket_by ?? "",
    placeholder: "targetingKey",
    autocomplete: "off",
    spellcheck: "false",
    "data-key": `${path}.bucket_by`,
    onInput: (event) => ctx.touch(() => set(rule, "bucket_by", event.target.value.trim())),
  });
  const words = h("p", { class: "fe-hint", "aria-live": "polite" });
  const warning = h("div", {});
  ctx.live(() => {
    words.textContent = rule.bucket_by
      ? `Everybody with the same “${rule.bucket_by}” gets the same variant. Who sends none gets what stands under “For everyone else”.`
      : "Each targeting key, usually a person, gets a variant of its own. Write an attribute such as company to keep people who share it together.";
    warning.replaceChildren(...reassigned(former && (former.bucket_by ?? "") !== (rule.bucket_by ?? "")));
  });
  return h("div", { class: "fe-spread-field" }, field("Keep together who has the same", input, { path: `${path}.bucket_by` }), words, warning);
}

function saltField(ctx, rule, former, path) {
  const input = h("input", {
    type: "text",
    class: "fe-input fe-code",
    value: rule.salt ?? "",
    placeholder: ctx.doc.salt ?? "",
    autocomplete: "off",
    spellcheck: "false",
    "data-key": `${path}.salt`,
    onInput: (event) => ctx.touch(() => set(rule, "salt", event.target.value)),
  });
  const warning = h("div", {});
  ctx.live(() => warning.replaceChildren(...reassigned(former && (former.salt ?? ctx.meta.current.salt) !== (rule.salt ?? ctx.doc.salt))));
  return h(
    "details",
    { class: "fe-more fe-advanced", open: rule.salt !== undefined || ctx.hasProblem(`${path}.salt`) },
    h("summary", {}, "Advanced: a salt of its own"),
    h("div", { class: "fe-spread-field" }, field("Salt of this rule", input, { path: `${path}.salt`, hint: "Decides who falls into which share. Rules with the same salt choose the same people; another salt draws anew." }), warning),
  );
}

function reassigned(isSo) {
  return isSo ? [h("p", { class: "fe-warning" }, icon("warning"), "This assigns people anew: many who have a variant now will get another one.")] : [];
}
