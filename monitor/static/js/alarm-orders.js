// What a person orders of an alarm: at once, or after a dialog has asked for what is missing.

import { askNow, longestShelf } from "./alarm-feed.js";
import { element, setData, setText } from "./dom.js";
import { post } from "./session.js";

const note = document.getElementById("order-note");
const shelveDialog = document.getElementById("shelve-dialog");
const closeDialog = document.getElementById("close-dialog");
const HOURS = [[1, "1 hour"], [8, "8 hours"], [24, "1 day"], [72, "3 days"], [168, "7 days"]];
export const ACTIONS = {
  acknowledge: { word: "Acknowledge", done: "acknowledged" },
  reset: { word: "Reset", done: "reset" },
  unshelve: { word: "Unshelve", done: "back in view" },
  shelve: { word: "Shelve", done: "shelved" },
  close: { word: "Close", done: "closed" },
};

for (const dialog of [shelveDialog, closeDialog]) {
  dialog.querySelector("[data-cancel]").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close()); // beside it
}

/** what is how the alarm is called: "Machine fault, Fan 5". */
export async function order(action, id, what, button) {
  if (action === "shelve") return shelve(id, what);
  if (action === "close") return close(id, what);
  if (button.ariaDisabled === "true") return; // pressed twice
  button.ariaDisabled = "true"; // and not disabled, which would lose the focus
  await send(action, id, what, {});
  button.ariaDisabled = null;
}

function shelve(id, what) {
  setText(document.getElementById("shelve-what"), what);
  document.getElementById("shelve-hours").replaceChildren(
    ...HOURS.filter(([hours]) => hours <= longestShelf()).map(([hours, text], index) => {
      const radio = element("input", { type: "radio", name: "hours", value: String(hours), required: "" });
      radio.checked = index === 1;
      return element("label", { class: "choice" }, radio, element("b", {}, text));
    }));
  ask(shelveDialog, (form) => send("shelve", id, what, { hours: Number(form.get("hours")) }));
}

function close(id, what) {
  setText(document.getElementById("close-what"), what);
  closeDialog.querySelector("form").reset();
  ask(closeDialog, (form) => send("close", id, what, { outcome: form.get("outcome"), note: form.get("note").trim() }));
}

export const closeOut = close;

function ask(dialog, answered) {
  dialog.returnValue = "";
  dialog.onclose = () => dialog.returnValue === "do" && answered(new FormData(dialog.querySelector("form")));
  dialog.showModal();
}

async function send(action, id, what, body) {
  const why = await post(`/api/alarms/${id}/${action}`, body);
  setText(note, why === null ? `${what}: ${ACTIONS[action].done}.` : `${what}: ${why}`);
  setData(note, "kind", why === null ? "done" : "error");
  document.dispatchEvent(new CustomEvent("ordered", { detail: { action, id, done: why === null } }));
  await askNow();
}
