// Cards of alarms in a list, in the order in which they are told, without moving one from under a finger.

import { AlarmCard } from "./alarm-card.js";

const POINTER_REST_MS = 1200;

let pointer = -Infinity;
for (const kind of ["pointermove", "pointerdown"]) {
  document.addEventListener(kind, (event) => {
    if (event.target.closest?.(".alarms")) pointer = performance.now();
  }, { passive: true });
}

/** Whether somebody is about to press something: then what is new waits a moment. */
export function isAimed() {
  return performance.now() - pointer < POINTER_REST_MS;
}

export class AlarmList {
  #host;
  #cards = new Map();
  #options;

  constructor(host, options) {
    this.#host = host;
    this.#options = options;
  }

  show(alarms, timeLeft) {
    const key = (alarm) => `${alarm.device} ${alarm.kind}`;
    const wanted = new Set(alarms.map(key));
    for (const [each, card] of this.#cards) {
      if (wanted.has(each)) continue;
      card.root.remove();
      this.#cards.delete(each);
    }
    alarms.forEach((alarm, index) => {
      let card = this.#cards.get(key(alarm));
      if (!card) this.#cards.set(key(alarm), (card = new AlarmCard(alarm, this.#options)));
      card.take(alarm, alarm.kind === "wear" ? (timeLeft[alarm.device] ?? null) : null);
      const there = this.#host.children[index];
      if (there === card.root) return;
      const focused = card.root.contains(document.activeElement) ? document.activeElement : null;
      this.#host.insertBefore(card.root, there ?? null);
      focused?.focus({ preventScroll: true });
    });
  }
}
