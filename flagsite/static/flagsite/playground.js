/* Small helps of the playground: filter the list of flags, take all or none of them. The page works without them. */
(function () {
  "use strict";

  function ready() {
    const tools = document.querySelector("[data-pg-tools]");
    const count = document.querySelector("[data-pg-count]");
    if (!tools) { return; }
    const flags = Array.from(document.querySelectorAll(".pg-flag"));
    tools.hidden = false;

    function recount() {
      const chosen = flags.filter(function (flag) { return flag.querySelector("input").checked; });
      count.textContent = chosen.length + " of " + flags.length;
    }

    function choose(checked) {
      flags.forEach(function (flag) { if (!flag.hidden) { flag.querySelector("input").checked = checked; } });
      recount();
    }

    tools.querySelector("[data-pg-filter]").addEventListener("input", function (event) {
      const words = event.target.value.toLowerCase().split(/\s+/);
      flags.forEach(function (flag) {
        const text = flag.textContent.toLowerCase();
        flag.hidden = !words.every(function (word) { return text.includes(word); });
      });
    });
    /* Return in the filter would evaluate, which nobody means. */
    tools.querySelector("[data-pg-filter]").addEventListener("keydown", function (event) {
      if (event.key === "Enter") { event.preventDefault(); }
    });
    tools.querySelector("[data-pg-all]").addEventListener("click", function () { choose(true); });
    tools.querySelector("[data-pg-none]").addEventListener("click", function () { choose(false); });
    document.querySelector(".pg-list").addEventListener("change", recount);
  }

  document.addEventListener("DOMContentLoaded", ready);
})();
