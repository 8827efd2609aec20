// The words, icons and urgency of a machine's state, in one place.

import { kindWord, PRIORITIES, UNANSWERED } from "./alarm-words.js";

export const STATES = {
  fault: { word: "Fault", rank: 0 },
  silent: { word: "Silent", rank: 1 },
  wearing: { word: "Wearing", rank: 2 },
  sensor_fault: { word: "Sensor fault", rank: 3 },
  unknown: { word: "Unknown", rank: 4 },
  maintenance: { word: "Maintenance", rank: 5 },
  stopped: { word: "Stopped", rank: 6 },
  healthy: { word: "Healthy", rank: 7 },
};

/** Beneath the alarm of the way no machine counts as silent, and what is shown of each is old. */
export const WAY_DOWN = "As it was last known: no verdicts of any machine arrive";

const CALM = new Set(["maintenance", "stopped", "healthy"]);
const LAST = 3;

/** What is the matter besides what the state says, as words: a machine at fault may be silent too. */
export function others({ state, standing, alarm }) {
  return standing.filter((kind) => kind !== NAMED[state] && kind !== alarm?.kind).map(kindWord);
}

const NAMED = { fault: "machine_fault", silent: "silence", wearing: "wear" };

const natural = new Intl.Collator("en", { numeric: true });

/**
 * Most urgent first: by the priority of the foremost alarm, not acknowledged before acknowledged, less time left before
 * more, then by state and name. Nothing in it changes with every reading, so that tiles stay where they are.
 */
export function byUrgency(a, b) {
  return rank(a) - rank(b) || answered(a) - answered(b) || timeLeft(a) - timeLeft(b)
    || STATES[a.state].rank - STATES[b.state].rank || natural.compare(a.id, b.id);
}

/** A fault without an alarm, because it is new, counts as medium: the alarm follows. One that was put aside does not. */
function rank({ alarm, aside, state }) {
  if (alarm) return PRIORITIES[alarm.priority].rank;
  if (aside || CALM.has(state)) return LAST;
  return state === "fault" ? PRIORITIES.medium.rank : PRIORITIES.low.rank;
}

function answered({ alarm }) {
  return alarm && !UNANSWERED.has(alarm.state) ? 1 : 0;
}

/** To the hour: a trend that is fitted anew must not shuffle the tiles. */
function timeLeft({ left }) {
  return left ? Math.round(left.earliest / 3600e3) : Number.MAX_SAFE_INTEGER;
}
