/* Small helps on every page; each page works without them. */
(function () {
  "use strict";

  function onCopy(button) {
    const source = document.getElementById(button.dataset.fsCopy);
    const text = source.value || source.textContent;
    const done = function () {
      const before = button.innerHTML;
      button.textContent = "Copied";
      setTimeout(function () { button.innerHTML = before; }, 1600);
    };
    if (navigator.clipboard) {
      navigator.clipboard.writeText(text).then(done);
      return;
    }
    const range = document.createRange();
    range.selectNodeContents(source);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    document.execCommand("copy");
    done();
  }

  function typing(target) {
    return target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName);
  }

  function addRow(button) {
    const list = document.getElementById(button.dataset.fsAddRow);
    const template = document.getElementById(button.dataset.fsAddRow + "-template");
    const total = document.querySelector('[name="' + button.dataset.fsTotal + '"]');
    const holder = document.createElement("div");
    holder.innerHTML = template.innerHTML.replaceAll("__prefix__", total.value);
    const row = holder.firstElementChild;
    list.appendChild(row);
    total.value = String(Number(total.value) + 1);
    row.querySelector("input").focus();
  }

  function showFor(select) {
    document.querySelectorAll("[data-fs-show-" + select.dataset.fsShows + "]").forEach(function (part) {
      const wanted = part.getAttribute("data-fs-show-" + select.dataset.fsShows).split(" ");
      part.hidden = !wanted.includes(select.value);
    });
  }

  /* Suggest a key while a name is typed, until somebody types a key. */
  function suggestKey(field) {
    const name = document.getElementById(field.dataset.fsKeyOf);
    let own = field.value !== "";
    field.addEventListener("input", function () { own = field.value !== ""; });
    name.addEventListener("input", function () {
      if (own) { return; }
      const plain = name.value.normalize("NFD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
      field.value = plain.replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 100);
    });
  }

  /* What is said beside a field belongs to it for those, too, who do not see where it stands. */
  function markBad(field, number) {
    const control = field.querySelector("input:not([type=hidden]), select, textarea");
    const said = field.querySelector(".fs-error");
    if (!control || !said || control.hasAttribute("aria-invalid")) { return; }
    said.id = said.id || "said-" + number;
    control.setAttribute("aria-invalid", "true");
    control.setAttribute("aria-describedby", [control.getAttribute("aria-describedby"), said.id].filter(Boolean).join(" "));
  }

  document.addEventListener("click", function (event) {
    const copy = event.target.closest("[data-fs-copy]");
    const add = event.target.closest("[data-fs-add-row]");
    const fill = event.target.closest("[data-fs-fill]");
    if (copy) { onCopy(copy); }
    if (add) { addRow(add); }
    if (fill) {
      document.getElementById("id_username").value = fill.dataset.fsFill;
      document.getElementById("id_password").value = fill.dataset.fsFillPassword;
      document.querySelector("#login-form [type=submit]").focus();
    }
  });

  document.addEventListener("keydown", function (event) {
    const search = document.querySelector("[data-fs-search]");
    if (event.key === "/" && search && !typing(event.target) && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  });

  document.addEventListener("change", function (event) {
    if (event.target.closest("[data-fs-auto]")) { event.target.form.requestSubmit(); }
    if (event.target.dataset.fsShows) { showFor(event.target); }
  });

  document.addEventListener("DOMContentLoaded", function () {
    document.querySelectorAll("[data-fs-shows]").forEach(showFor);
    document.querySelectorAll("[data-fs-auto-button]").forEach(function (button) { button.classList.add("fs-hidden"); });
    document.querySelectorAll("[data-fs-key-of]").forEach(suggestKey);
    document.querySelectorAll(".fs-field-bad").forEach(markBad);
    const place = document.querySelector("[data-fs-focus]");
    if (place) { place.focus(); }
    const replace = document.querySelector("[data-fs-forget]");
    if (replace) { history.replaceState(null, "", replace.dataset.fsForget); }
  });
})();
