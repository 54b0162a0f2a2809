// Putting a milestone off: the field of its new date begins with its present one, and says when that is a weekend.

document.addEventListener("change", (event) => {
  const places = event.target.closest("select[data-postpones]");
  if (places) document.getElementById(places.dataset.postpones).value = places.selectedOptions[0].dataset.at;
  if (places || event.target.id === "postpone-to") mindWeekend();
});
mindWeekend();

function mindWeekend() {
  const date = document.getElementById("postpone-to");
  // Wall time of the timeline's zone, whatever zone the browser is in.
  const day = date?.value ? new Date(`${date.value}Z`).getUTCDay() : 1;
  const words = document.getElementById("postpone-weekend");
  if (words) words.hidden = day !== 0 && day !== 6;
}
