// The title that a change request is offered: one line people recognise it by.

const LONGEST = 110;
const LONGEST_NAME = 50;

// The change people talk about: what is served, or the switch, before conditions and words.
export function suggestedTitle(name, differences) {
  const told = differences.find((item) => item.path.endsWith(".serve") || item.path === "enabled") ?? differences[0];
  const others = differences.length - 1;
  const rest = others > 0 ? `, and ${others} more ${others === 1 ? "change" : "changes"}` : "";
  const start = `${shortened(name, LONGEST_NAME)}: `;
  const room = LONGEST - [...start].length - rest.length;
  return `${start}${shortened(told ? toldWords(told) : "settings", room)}${rest}`;
}

// What is about the whole document says more in further sentences, which a title leaves out.
function toldWords({ path, sentence }) {
  const words = path === "" ? sentence.split(". ")[0] : sentence.replace(/^Rule \d+ “[^”]*”: /, "");
  return words.replace(/\.$/, "").replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase());
}

function shortened(text, longest) {
  const letters = [...text];
  if (letters.length <= longest) return text;
  return `${letters.slice(0, longest - 1).join("").replace(/[\s,:;.]+\S*$/, "")}…`;
}
