// The words, icons and urgency of a machine's state, in one place.

export const STATES = {
  fault: { word: "Fault", rank: 0 },
  silent: { word: "Silent", rank: 1 },
  no_data: { word: "No data", rank: 2 },
  healthy: { word: "Healthy", rank: 3 },
};

const natural = new Intl.Collator("en", { numeric: true });

/** Most urgent first, then by name: nothing that changes with every reading, so that tiles stay where they are. */
export function byUrgency(a, b) {
  return STATES[a.state].rank - STATES[b.state].rank || natural.compare(a.id, b.id);
}
