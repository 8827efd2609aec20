// Tells a screen reader of changed states, several at once, and never of readings.

import { displayName } from "./format.js";
import { STATES } from "./states.js";

const WAIT_MS = 1500;
const MOST = 4;
const node = document.getElementById("announcer");
const waiting = new Map();
let timer = null;

export function announce(machine) {
  waiting.set(machine.id, machine);
  timer ??= setTimeout(() => {
    const changed = [...waiting.values()];
    const told = changed.slice(0, MOST).map(
      (each) => `${displayName(each.id, document.body.dataset.machine)}: ${STATES[each.state].word}`);
    if (changed.length > MOST) told.push(`and ${changed.length - MOST} more`);
    node.textContent = told.join(", ");
    waiting.clear();
    timer = null;
  }, WAIT_MS);
}
