// Documents travel without the blanks between their parts: ten thousand targets, a line each, are long enough.

// The same JSON, token by token, so that nothing typed means anything else; what is no JSON stays as it is.
export function compactJson(text) {
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  return text.replace(/"[^"\\]*(?:\\.[^"\\]*)*"|[\t\n\r ]+/g, (part) => (part.startsWith('"') ? part : ""));
}

export function postCompactly(form) {
  form.addEventListener("formdata", ({ formData }) => formData.set("document", compactJson(formData.get("document"))));
}

// A refused document comes back as it travelled, in one line. Only what would read differently stays like that.
export function readableJson(text) {
  if (text.includes("\n")) return text;
  try {
    const parsed = JSON.parse(text);
    return JSON.stringify(parsed) === compactJson(text) ? JSON.stringify(parsed, null, 2) : text;
  } catch {
    return text;
  }
}
