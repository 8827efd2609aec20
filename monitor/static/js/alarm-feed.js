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
let asked = 0;
let told = 0;

/**
 * Calls listener(alarms, timeLeft, changed, ordered) with each answer; timeLeft is by device, and ordered says that it
 * was asked for after somebody has done something.
 */
export function onAlarms(listener) {
  listeners.add(listener);
  if (started) return;
  started = true;
  loop();
}

/** Asks at once: something was just done. An answer that was under way is older than that. */
export async function askNow() {
  await ask(true);
}

export function longestShelf() {
  return longestShelfH;
}

async function loop() {
  for (;;) {
    await ask(false).catch(reportError); // an error of the page's own is shown, and does not end the asking
    await new Promise((resume) => setTimeout(resume, document.hidden ? HIDDEN_INTERVAL_MS : INTERVAL_MS));
  }
}

async function ask(ordered) {
  const mine = (asked += 1);
  let body;
  try {
    const answer = await fetch(`/api/alarms?after=${version}`, { signal: AbortSignal.timeout(TIMEOUT_MS), cache: "no-store" });
    if (answer.status === 401) toLogin();
    if (!answer.ok) return;
    body = await answer.json();
  } catch {
    return; // the page says by itself when the monitor does not answer
  }
  if (mine < told) return; // overtaken by a later question's answer
  told = mine;
  if ((body.who ?? undefined) !== document.body.dataset.who && document.body.dataset.who) toLogin(); // the session ended
  const changed = body.alarms !== undefined;
  version = body.version;
  timeLeft = body.time_left;
  if (changed) ({ alarms, longest_shelf_h: longestShelfH } = body);
  for (const listener of listeners) listener(alarms, timeLeft, changed, ordered);
}
