// The demo's buttons. The server accepts their commands only in demo mode and only from this very page.

import { setData, setText } from "./dom.js";
import { displayName } from "./format.js";

const note = document.getElementById("command-note");
const said = {
  healthy: "is mended", faulty: "is broken", wearing: "begins to wear out", stuck: "has a stuck sensor",
  spikes: "gets spikes", silent: "falls silent",
};

export async function command(id, condition, button) {
  const name = displayName(id, document.body.dataset.machine);
  button.disabled = true;
  try {
    const answer = await fetch(`/api/fans/${encodeURIComponent(id)}/command`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ condition }),
      signal: AbortSignal.timeout(5000),
    });
    if (answer.ok) say(`Told: ${name} ${said[condition] ?? condition}.`, "done");
    else say(`${name}: ${(await answer.json()).error}`, "error");
  } catch {
    say(`${name}: the monitor did not answer.`, "error");
  } finally {
    const focused = document.activeElement === button || document.activeElement === document.body;
    button.disabled = false;
    if (focused) button.focus({ preventScroll: true });
  }
}

function say(text, kind) {
  setText(note, text);
  setData(note, "kind", kind);
}
