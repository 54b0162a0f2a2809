// While a run is under way: ask how far it is, and put its result in place when it has ended. Without scripts: reload.

const EVERY_MS = 700;

watch(document.getElementById("impact"));

function watch(card) {
  const address = card?.dataset.impact;
  if (address) setTimeout(() => look(card, address), EVERY_MS);
}

async function look(card, address) {
  try {
    const answer = await fetch(address, { headers: { Accept: "application/json" } });
    if (!answer.ok) return;
    const run = await answer.json();
    if (run.hasEnded) return await replace(card);
    card.querySelector("progress").value = run.progress;
    card.querySelector("[data-impact-progress]").textContent = run.progress.toLocaleString("en-GB");
  } catch {
    // The network is away for a moment; ask again.
  }
  setTimeout(() => look(card, address), EVERY_MS);
}

async function replace(card) {
  const page = await (await fetch(location.pathname)).text();
  const fresh = new DOMParser().parseFromString(page, "text/html").getElementById("impact");
  if (!fresh) return location.reload();
  card.replaceWith(fresh);
  fresh.setAttribute("tabindex", "-1");
  fresh.focus({ preventScroll: true });
  watch(fresh);
}
