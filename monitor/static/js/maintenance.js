// When a machine is worked on: what is planned, and a form to plan more.

import { element, setData, setText } from "./dom.js";
import { moment } from "./format.js";
import { post, who } from "./session.js";

const INTERVAL_MS = 10_000;
const find = (id) => document.getElementById(id);
const form = find("plan-form");
let url = "";
let told = "";

/** Shows what is planned for the machine, now and again. */
export async function planned(id) {
  url = `/api/fans/${encodeURIComponent(id)}/maintenance`;
  if (form) begin();
  for (;;) {
    await ask().catch(() => {}); // the bar tells when the monitor is away
    await new Promise((resume) => setTimeout(resume, INTERVAL_MS));
  }
}

async function ask() {
  const answer = await fetch(url, { signal: AbortSignal.timeout(5000), cache: "no-store" });
  if (answer.ok) show((await answer.json()).windows);
}

function show(windows) {
  const now = JSON.stringify(windows);
  if (now === told) return;
  told = now;
  find("planned-none").hidden = windows.length > 0;
  find("planned-list").hidden = windows.length === 0;
  find("planned-list").replaceChildren(...windows.map(row));
}

function row(planned) {
  const times = `${moment(planned.from)} to ${moment(planned.to)}`;
  const made = element("li", {}, element("span", {}, element("b", {}, times), `, planned by ${planned.who}: ${planned.note}`));
  if (who === null) return made;
  const button = element("button", { type: "button", class: "button", "aria-label": `Cancel the maintenance ${times}` }, "Cancel");
  button.addEventListener("click", async () => {
    const why = await post(`/api/maintenance/${planned.number}/cancel`, {});
    say(why ?? "Cancelled.", why === null);
    await ask().catch(() => {});
    find("planned-title").parentElement.querySelector("input, a")?.focus({ preventScroll: true }); // the button is gone
  });
  made.append(button);
  return made;
}

/** The next two hours, as the reader's clock says. */
function begin() {
  const now = new Date(Math.ceil(Date.now() / 300e3) * 300e3);
  form.elements.from.value = local(now);
  form.elements.to.value = local(new Date(now.getTime() + 2 * 3600e3));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { from, to, note } = form.elements;
    const why = await post(url, { from: aware(from.value), to: aware(to.value), note: note.value.trim() });
    say(why ?? "Planned.", why === null);
    if (why === null) note.value = "";
    await ask().catch(() => {});
  });
}

function local(date) {
  return new Date(date.getTime() - date.getTimezoneOffset() * 60e3).toISOString().slice(0, 16);
}

function aware(value) {
  return new Date(value).toISOString();
}

function say(text, done) {
  setText(find("plan-said"), text);
  setData(find("plan-said"), "kind", done ? "done" : "error");
}
