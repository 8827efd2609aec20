// Tells a screen reader of changed states and new alarms, several at once, and never of readings.

import { displayName } from "./format.js";
import { STATES } from "./states.js";

const WAIT_MS = 1500;
const MOST = 4;
const node = document.getElementById("announcer");
const waiting = new Map();
let timer = null;

/** That the first readings find nothing is no news. */
export function announce(machine, before) {
  if (before === "unknown" && machine.state === "healthy") return;
  say(machine.id, () => `${displayName(machine.id, document.body.dataset.machine)}: ${STATES[machine.state].word}`);
}

/** text may be a function, which is asked at the last moment; a later word of the same key replaces it. */
export function say(key, text) {
  waiting.set(key, text);
  timer ??= setTimeout(() => {
    const all = [...waiting.values()];
    const told = all.slice(0, MOST).map((each) => (typeof each === "function" ? each() : each));
    if (all.length > MOST) told.push(`and ${all.length - MOST} more`);
    node.textContent = told.join(", ");
    waiting.clear();
    timer = null;
  }, WAIT_MS);
}
