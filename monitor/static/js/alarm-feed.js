// Asks the server once a second for the alarms, once for the whole page, and tells whoever listens.

import { toLogin } from "./session.js";

const INTERVAL_MS = 1000;
const HIDDEN_INTERVAL_MS = 4000;
const TIMEOUT_MS = 5000;
const listeners = new Set();
let version = "";
let alarms = [];
let timeLeft = {};
let longestShelfH = 24;
let started = false;

/** Calls listener(alarms, timeLeft, changed) with each answer; timeLeft is by device. */
export function onAlarms(listener) {
  listeners.add(listener);
  if (started) return;
  started = true;
  loop();
}

/** Asks at once: something was just done. */
export async function askNow() {
  await ask();
}

export function longestShelf() {
  return longestShelfH;
}

async function loop() {
  for (;;) {
    await ask().catch(reportError); // an error of the page's own is shown, and does not end the asking
    await new Promise((resume) => setTimeout(resume, document.hidden ? HIDDEN_INTERVAL_MS : INTERVAL_MS));
  }
}

async function ask() {
  let body;
  try {
    const answer = await fetch(`/api/alarms?after=${version}`, { signal: AbortSignal.timeout(TIMEOUT_MS), cache: "no-store" });
    if (answer.status === 401) toLogin();
    if (!answer.ok) return;
    body = await answer.json();
  } catch {
    return; // the page says by itself when the monitor does not answer
  }
  if ((body.who ?? undefined) !== document.body.dataset.who && document.body.dataset.who) toLogin(); // the session ended
  const changed = body.alarms !== undefined;
  version = body.version;
  timeLeft = body.time_left;
  if (changed) ({ alarms, longest_shelf_h: longestShelfH } = body);
  for (const listener of listeners) listener(alarms, timeLeft, changed);
}
