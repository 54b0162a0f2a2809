// The preview beside the editor follows what is typed; a flag that is chosen brings its variants. Without scripts the
// buttons do both.

const WAIT_MS = 600;
const form = document.getElementById("plan-form");
let timer;
let round = 0;

if (form) {
  document.documentElement.classList.add("pl-scripts");
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(look, WAIT_MS);
  });
  form.addEventListener("change", (event) => {
    const chosen = event.target;
    if (chosen.matches("[data-plan-flag]")) form.requestSubmit(form.querySelector("[data-plan-refresh]"));
    if (!chosen.matches("[data-plan-values]") || chosen.value !== "values") return;
    const asks = chosen.closest(".pl-row, .pl-params").querySelector("[data-plan-refresh]");
    if (asks) form.requestSubmit(asks);
  });
}

async function look() {
  const mine = ++round;
  const fields = new FormData(form);
  fields.set("do", "preview");
  try {
    const answer = await fetch(location.pathname + location.search, { method: "POST", body: fields });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("plan-preview");
    const place = document.getElementById("plan-preview");
    if (!fresh || mine !== round || place.contains(document.activeElement)) return;
    place.innerHTML = fresh.innerHTML;
  } catch {
    // The network is away for a moment; the next change asks again.
  }
}
