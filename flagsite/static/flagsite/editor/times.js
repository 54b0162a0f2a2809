// Instants as people choose them: wall time in the zone of the installation, whatever zone the browser is in.

const PARTS = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };

function partsIn(instant, zone) {
  const format = new Intl.DateTimeFormat("en-GB", { ...PARTS, timeZone: zone });
  return Object.fromEntries(format.formatToParts(instant).map(({ type, value }) => [type, value]));
}

// "2026-12-01T09:00" for an instant; seconds only where there are some. Empty for what is no instant.
export function wallFromInstant(text, zone) {
  const instant = new Date(text ?? "");
  if (!text || Number.isNaN(instant.getTime()) || instant.getUTCFullYear() < 1000 || instant.getUTCFullYear() > 9998) return "";
  const { year, month, day, hour, minute, second } = partsIn(instant, zone);
  return `${year}-${month}-${day}T${hour}:${minute}${second === "00" ? "" : `:${second}`}`;
}

// "2026-12-01T08:00:00Z" for wall time in a zone. A time the clocks skip becomes the one just after the gap.
export function instantFromWall(wall, zone) {
  const naive = Date.parse(`${wall}Z`);
  if (!wall || Number.isNaN(naive)) return "";
  let guess = naive;
  for (let round = 0; round < 2; round += 1) guess = naive - offsetAt(guess, zone);
  return `${new Date(guess).toISOString().slice(0, 19)}Z`;
}

function offsetAt(instant, zone) {
  const { year, month, day, hour, minute, second } = partsIn(new Date(instant), zone);
  return Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second)) - instant;
}

export function whenText(text, zone) {
  const instant = new Date(text);
  if (Number.isNaN(instant.getTime())) return text;
  const date = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: zone });
  return date.format(instant).replace(",", "");
}

export function windowText(rule, zone) {
  const from = rule.starts_at ? whenText(rule.starts_at, zone) : "";
  const to = rule.ends_at ? whenText(rule.ends_at, zone) : "";
  if (from && to) return `from ${from} to ${to} ${zone}`;
  return from ? `from ${from} ${zone} on` : `until ${to} ${zone}`;
}

// The same for a small label.
export function windowBrief(rule, zone) {
  const from = rule.starts_at ? whenText(rule.starts_at, zone) : "";
  const to = rule.ends_at ? whenText(rule.ends_at, zone) : "";
  if (from && to) return `${from} – ${to}`;
  return from ? `from ${from}` : `until ${to}`;
}
