// What every part of the builder shares: the document, how to change it, what is open, and what must follow each keystroke.

import { append, button, h, keepingFocus, uniqueId } from "./dom.js";
import { covers } from "./problems.js";

const COLOURS = 8;

export class Context {
  // sections: {name: {slot: Element, draw: (ctx) => Node}}
  constructor({ doc, meta, root, sections, onChange, toast }) {
    Object.assign(this, { doc, meta, root, sections, onChange, toast });
    this.memory = {};
    this.problems = [];
    this.segmentNames = new Map(meta.segments.map((segment) => [segment.key, segment.name]));
    this.attributeListId = uniqueId("attributes");
    this.openParts = new WeakMap();
    this.followers = new Map();
    this.drawing = null;
  }

  // Change the document in a way that alters which controls there are. Focus goes to `key`, or to the key that
  // `change` answers with, or stays.
  edit(change, key) {
    const answer = change();
    this.render(key ?? (typeof answer === "string" ? answer : undefined));
    this.onChange();
  }

  // Change a value in place: nothing is redrawn but what follows it. With `structural`, the other sections are.
  touch(change, { structural = false } = {}) {
    change();
    if (structural) this.renderSections((name) => !this.hasFocus(name));
    this.follow();
    this.onChange();
  }

  // Have `update` run now and after every change, until its section is drawn anew.
  live(update) {
    this.followers.get(this.drawing)?.push(update);
    update();
  }

  follow() {
    for (const updates of this.followers.values()) for (const update of updates) update();
  }

  render(key) {
    keepingFocus(this.root, () => this.renderSections(() => true), key);
    this.follow();
  }

  renderSections(wanted) {
    for (const [name, { slot, draw }] of Object.entries(this.sections)) {
      if (!wanted(name)) continue;
      this.drawing = name;
      this.followers.set(name, []);
      slot.replaceChildren();
      append(slot, [draw(this)]);
    }
    this.drawing = null;
  }

  hasFocus(name) {
    return this.sections[name].slot.contains(document.activeElement);
  }

  isOpen(part, what) {
    return Boolean(this.openParts.get(part)?.[what]);
  }

  setOpen(part, what, value) {
    this.openParts.set(part, { ...this.openParts.get(part), [what]: value });
  }

  hasProblem(path) {
    return this.problems.some((problem) => problem.shown && covers(path, problem.path));
  }

  // The same colour for a variant wherever it shows; off and false are quiet.
  colour(name) {
    const index = this.doc.variants?.findIndex((variant) => variant.name === name) ?? -1;
    if (index === -1) return "fe-c-none";
    const quiet = (variant) => variant.value === false || variant.name === "off";
    if (quiet(this.doc.variants[index])) return "fe-c-quiet";
    const rank = this.doc.variants.slice(0, index).filter((variant) => !quiet(variant)).length;
    return `fe-c${rank % COLOURS}`;
  }

  // Tell everybody, screen readers included, what just happened; offer to take it back.
  say(text, { undo } = {}) {
    const action = undo ? button("Undo", { kind: "fe-link", onClick: () => { this.edit(undo); this.toast.replaceChildren(); } }) : null;
    this.toast.replaceChildren(h("p", { class: "fe-toast-text" }, text, action));
    clearTimeout(this.toastTimer);
    this.toastTimer = setTimeout(() => this.toast.replaceChildren(), undo ? 10000 : 4000);
  }
}
