// Whether client tokens, which anybody can read out of a page or an app, get to see the flag.

import { h } from "./dom.js";

export function visibilitySection(ctx) {
  const seen = ctx.doc.client_visible === true;
  const toggle = h("input", {
    type: "checkbox",
    role: "switch",
    class: "fe-switch",
    id: "fe-client-visible",
    checked: seen,
    "data-key": "client_visible",
    onChange: (event) => ctx.edit(() => {
      if (event.target.checked) ctx.doc.client_visible = true;
      else delete ctx.doc.client_visible;
    }),
  });
  const words = seen
    ? "Anybody who reads a client token out of a web page or an app can ask for this flag and learns its key, its variant and its value. Rules stay secret. Do not target what an end user can simply claim, such as a plan."
    : "Services see this flag. To browsers and apps with a client token it does not exist.";
  return h(
    "div",
    { class: "fe-switch-line", "data-path": "client_visible" },
    toggle,
    h("label", { for: "fe-client-visible", class: "fe-switch-label" }, seen ? "Browsers and apps can see it" : "Only services can see it", h("span", { class: "fe-hint" }, words)),
  );
}

export function visibilityBrief(ctx) {
  return [h("span", { class: "fe-hint" }, ctx.doc.client_visible === true ? "browsers and apps can see it" : "only services can see it")];
}
