// The demo's buttons. The server accepts their commands only in demo mode, only from this very page, and from who is
// signed in unless the page is bound to the machine's loopback.

import { setData, setText } from "./dom.js";
import { displayName } from "./format.js";
import { post } from "./session.js";

const note = document.getElementById("command-note");
const said = {
  healthy: "is mended", faulty: "is broken", wearing: "begins to wear out", stuck: "has a stuck sensor",
  spikes: "gets spikes", silent: "falls silent",
};

export async function command(id, condition, button) {
  const name = displayName(id, document.body.dataset.machine);
  button.disabled = true;
  const why = await post(`/api/fans/${encodeURIComponent(id)}/command`, { condition });
  if (why === null) say(`Told: ${name} ${said[condition] ?? condition}.`, "done");
  else say(`${name}: ${why}`, "error");
  const focused = document.activeElement === button || document.activeElement === document.body;
  button.disabled = false;
  if (focused) button.focus({ preventScroll: true });
}

function say(text, kind) {
  setText(note, text);
  setData(note, "kind", kind);
}
