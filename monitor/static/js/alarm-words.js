// The words of alarms, in one place: kinds, priorities and the states of ISA-18.2.

import { moment } from "./format.js";

export const PRIORITIES = { high: { word: "High", rank: 0 }, medium: { word: "Medium", rank: 1 }, low: { word: "Low", rank: 2 } };
export const UNANSWERED = new Set(["unacknowledged", "returned_unacknowledged", "latched_unacknowledged"]);
export const ASIDE = new Set(["shelved", "suppressed_by_design", "out_of_service"]);

/** "Machine fault" */
export function kindWord(kind) {
  const words = kind.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Where the alarm stands, and whose doing that is, as a sentence. */
export function stateSentence(alarm) {
  const since = `since ${moment(alarm.since)}`;
  switch (alarm.state) {
    case "unacknowledged": return "Nobody has acknowledged it.";
    case "acknowledged": return `Acknowledged by ${alarm.acknowledged_by} ${since}; the cause is still there.`;
    case "returned_unacknowledged": return `The cause is gone ${since}; nobody has acknowledged it.`;
    case "latched_unacknowledged": return `The cause is gone; held until it is acknowledged and reset, ${since}.`;
    case "latched_acknowledged": return `Acknowledged by ${alarm.acknowledged_by}; the cause is gone, held until it is reset.`;
    case "shelved": return `Shelved by ${alarm.shelved_by} until ${moment(alarm.shelved_until)}${alarm.active ? "; the cause is there" : ""}.`;
    case "suppressed_by_design": return `Kept from view by ${alarm.suppressed_by.map((each) => each.replaceAll("_", " ")).join(", ")}, ${since}.`;
    case "out_of_service": return `Taken out of service by ${alarm.out_of_service_by}, ${since}.`;
    default: return `${kindWord(alarm.state)} ${since}.`;
  }
}

/** What was already found of an alarm that goes on. */
export function closeSentence({ outcome, closed_by: by }) {
  return outcome ? `Closed as ${outcome} by ${by}; it leaves the list when its cause is gone.` : "";
}

/** The most urgent alarm in view of each device; the server tells alarms in order of urgency. */
export function foremost(alarms) {
  const first = new Map();
  for (const alarm of alarms) if (!ASIDE.has(alarm.state) && !first.has(alarm.device)) first.set(alarm.device, alarm);
  return first;
}
