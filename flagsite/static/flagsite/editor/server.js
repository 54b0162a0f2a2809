// Asking the server what it thinks of the document, a moment after the last keystroke.

const PAUSE_MS = 350;

export class Checker {
  constructor({ form, url, fields, onAnswer, onTrouble }) {
    Object.assign(this, { form, url, fields, onAnswer, onTrouble });
    this.timer = null;
    this.pending = null;
  }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.now(), PAUSE_MS);
  }

  async now() {
    clearTimeout(this.timer);
    this.pending?.abort();
    const pending = new AbortController();
    this.pending = pending;
    try {
      const response = await fetch(this.url, {
        method: "POST",
        credentials: "same-origin",
        headers: { "X-CSRFToken": this.form.elements.csrfmiddlewaretoken.value, Accept: "application/json" },
        body: multipart(this.fields()),
        signal: pending.signal,
      });
      if (!response.ok) throw new Error(String(response.status));
      this.onAnswer(await response.json());
    } catch (error) {
      if (error.name !== "AbortError") this.onTrouble();
    }
  }
}

// Unlike an address, a form of parts takes letters of any alphabet as they are.
function multipart(fields) {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.set(name, value);
  return body;
}
