// What the page knows of one machine: the server's newest word, and a bounded window of points by time.

const NUMBER = 0, AT = 1, FAULT = 2, PROBABILITY = 3, FIRST_SIGNAL = 4;

export class Machine {
  #points = [];
  #limit;
  #contact = null;

  constructor(id, limit) {
    this.id = id;
    this.state = "unknown";
    this.standing = [];
    this.signals = [];
    /** The foremost alarm in view, whether another was put aside, and the time left; told by the alarms' feed. */
    this.alarm = null;
    this.aside = false;
    this.left = null;
    /** Whether no verdict of any machine arrives. */
    this.wayDown = false;
    this.#limit = limit;
  }

  take(body) {
    const points = body.restarted ? [] : this.#points;
    const known = new Set(points.map((point) => point[NUMBER]));
    points.push(...body.points.filter((point) => !known.has(point[NUMBER])));
    points.sort((a, b) => a[AT] - b[AT] || a[NUMBER] - b[NUMBER]); // a late verdict goes where it belongs
    this.#points = points.slice(-this.#limit);
    this.#contact = body.contact_age_s === null ? null : performance.now() - body.contact_age_s * 1000;
    for (const key of ["state", "standing", "since", "probability", "fault", "model", "rejected", "refusal", "refused", "signals",
      "behind_s", "losses"]) {
      this[key] = body[key];
    }
  }

  /** Counted here, so that it goes on counting when the server is gone; null when nothing was heard since the start. */
  get contactAge() {
    return this.#contact === null ? null : (performance.now() - this.#contact) / 1000;
  }

  get newest() {
    return this.#points.at(-1) ?? null;
  }

  /** Newest first. */
  verdicts(count) {
    return this.#points.slice(-count).reverse().map((point) => ({
      at: point[AT], fault: point[FAULT] === 1, probability: point[PROBABILITY], values: point.slice(FIRST_SIGNAL),
    }));
  }

  get times() {
    return this.#points.map((point) => point[AT] / 1000);
  }

  get faults() {
    return this.#points.map((point) => point[FAULT] === 1);
  }

  get probabilities() {
    return this.#points.map((point) => point[PROBABILITY]);
  }

  values(signal) {
    return this.#points.map((point) => point[FIRST_SIGNAL + signal] ?? null);
  }

  latest(signal) {
    return this.newest?.[FIRST_SIGNAL + signal] ?? null;
  }
}
