// The ledger of a machine's readings, or of all machines, as one calm line.

import { setData, setText } from "./dom.js";

const count = new Intl.NumberFormat("en-GB");

/** "4,812 readings since the monitor started: 3 missing, 2 late, 1 twice". */
export function lossText(losses) {
  if (losses.received === 0) return "";
  const heard = `${count.format(losses.received)} ${losses.received === 1 ? "reading" : "readings"} since the monitor started`;
  if (losses.received === losses.unnumbered) return `${heard}, without numbers that would tell what is missing`;
  const parts = [
    [losses.missing, "missing"],
    [losses.out_of_order, "out of order"],
    [losses.duplicate, "twice"],
    [losses.undecided, "too late to tell"],
    [losses.unnumbered, "without a number"],
  ].filter(([number]) => number > 0).map(([number, what]) => `${count.format(number)} ${what}`);
  if (losses.missing === 0) parts.unshift("none missing");
  return `${heard}: ${parts.join(", ")}`;
}

export function showLosses(element, losses) {
  setText(element, lossText(losses));
  setData(element, "missing", String(losses.missing > 0));
}
