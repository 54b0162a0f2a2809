// Offers the month by the clocks of whoever looks. Without it the choice of zones does the same.

const link = document.querySelector("[data-own-zone]");
const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
const choice = document.querySelector("[data-zone-choice]");
if (link && own && choice && choice.value !== own) {
  link.href += encodeURIComponent(own);
  link.textContent = `Show by mine (${own})`;
  link.hidden = false;
}
if (choice) choice.addEventListener("change", () => choice.form.requestSubmit());
