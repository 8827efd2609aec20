// One machine on the fleet page.

import { kindWord, UNANSWERED } from "./alarm-words.js";
import { command } from "./commands.js";
import { element, icon, setData, setText } from "./dom.js";
import { age, displayName, duration, label, number, percent, unit } from "./format.js";
import { Sparkline } from "./sparkline.js";
import { others, STATES, WAY_DOWN } from "./states.js";

const MOST_SIGNALS = 6;
const LATE_S = 60;

export class Tile {
  #machine;
  #parts = {};
  #rows = [];
  #names = "";
  #dirty = true;
  #visible = false;
  #signature = null;

  constructor(machine) {
    this.#machine = machine;
    this.root = this.#build();
  }

  get state() {
    return this.#machine.state;
  }

  get alarm() {
    return this.#machine.alarm;
  }

  get aside() {
    return this.#machine.aside;
  }

  get left() {
    return this.#machine.left;
  }

  get id() {
    return this.#machine.id;
  }

  get visible() {
    return this.#visible;
  }

  set visible(visible) {
    this.#visible = visible;
    this.draw();
  }

  /** The machine has news. */
  changed(signature) {
    this.#signature = signature;
    this.#dirty = true;
    const state = this.#machine.state;
    if (this.root.dataset.state !== state) {
      this.root.dataset.state = state;
      this.#parts.pill.dataset.state = state;
      this.#parts.pill.replaceChildren(icon(state), STATES[state].word);
    }
    this.alarmed();
    this.draw();
  }

  /** Its alarm or its time left may be another. */
  alarmed() {
    const { alarm, left } = this.#machine;
    const { alarm: box, alarmIcon, alarmKind, alarmLeft, alarmWhy } = this.#parts;
    this.#dirty = true; // the notes leave out what the alarm says
    box.hidden = alarm === null;
    if (alarm === null) return;
    const answered = !UNANSWERED.has(alarm.state);
    setData(box, "priority", alarm.priority);
    setData(box, "answered", String(answered));
    alarmIcon.firstChild.setAttribute("href", `#icon-${alarm.priority}`);
    const by = answered ? `, acknowledged${alarm.acknowledged_by ? ` by ${alarm.acknowledged_by}` : ""}` : "";
    setText(alarmKind, `${kindWord(alarm.kind)}${by}${this.#clearing() ? ", cause gone" : ""}`);
    setText(alarmLeft, left ? `${left.words} left` : "");
    setText(alarmWhy, alarm.why);
  }

  /** The alarm is still there because its cause may come back any moment, or because nobody has answered it. */
  #clearing() {
    const { alarm, standing } = this.#machine;
    return !standing.includes(alarm.kind);
  }

  /** The way of all readings went down, or is back; nothing else comes that would draw it. */
  set wayDown(down) {
    if (this.#machine.wayDown === down) return;
    this.#machine.wayDown = down;
    this.#dirty = true;
    this.draw();
  }

  /** A second has passed. */
  tick() {
    const machine = this.#machine;
    if (!this.#visible) return;
    const { contactAge } = machine;
    setText(this.#parts.contact, contactAge === null ? "Not heard since the monitor started" : `Last contact ${age(contactAge)}`);
  }

  /** Paints what is in sight; the rest waits until it is. */
  draw() {
    if (!this.#visible || !this.#dirty) return;
    this.#dirty = false;
    this.#probability();
    this.#signals();
    this.#notes();
    this.tick();
  }

  resize() {
    for (const { spark, host } of this.#rows) spark.resize(host.clientWidth, host.clientHeight);
  }

  repaint() {
    for (const { spark } of this.#rows) spark.repaint();
  }

  #probability() {
    const { probability } = this.#machine;
    const threshold = this.#signature?.threshold ?? null;
    const { value, fill, mark } = this.#parts;
    setText(value, percent(probability));
    setData(value, "over", String(this.#machine.fault === 1));
    fill.style.transform = `scaleX(${probability ?? 0})`;
    setData(fill, "over", String(this.#machine.fault === 1));
    mark.hidden = threshold === null;
    if (threshold !== null) mark.style.left = `${threshold * 100}%`;
  }

  #signals() {
    const machine = this.#machine;
    const units = new Map((this.#signature?.signals ?? []).map((each) => [each.name, unit(each.unit)]));
    const names = machine.signals.join(" ");
    if (names !== this.#names) {
      this.#names = names;
      this.#rows = machine.signals.slice(0, MOST_SIGNALS).map((name) => this.#row(name));
      this.#parts.signals.replaceChildren(...this.#rows.map((row) => row.root));
      const more = machine.signals.length - MOST_SIGNALS;
      if (more > 0) this.#parts.signals.append(element("li", { class: "more-signals" }, `and ${more} more`));
      for (const row of this.#rows) row.spark = new Sparkline(row.host); // needs its place to know its size
    }
    const { times, faults } = machine;
    this.#rows.forEach((row, index) => {
      row.spark.update(times, machine.values(index), faults);
      setText(row.value, number(machine.latest(index)));
      setText(row.unit, units.has(row.name) ? ` ${units.get(row.name)}` : "");
    });
  }

  #row(name) {
    const host = element("span", { class: "spark", "aria-hidden": "true" });
    const value = element("span");
    const unitText = element("span", { class: "signal-unit" });
    const root = element("li", {}, element("span", { class: "signal-name", title: label(name) }, label(name)), host,
      element("span", { class: "signal-value" }, value, unitText));
    return { name, root, host, value, unit: unitText, spark: null };
  }

  #notes() {
    const { rejected, refusal, refused, behind_s: behind, state, wayDown } = this.#machine;
    const notes = [...(wayDown ? [WAY_DOWN] : []), ...others(this.#machine)];
    if (refused) notes.push(`Readings are refused: ${refusal.reason.replaceAll("_", " ")}`);
    else if (rejected > 0) notes.push(`${rejected} refused`);
    if (behind > LATE_S && state !== "silent" && !wayDown) notes.push(`Readings are ${duration(behind)} old`);
    setText(this.#parts.notes, notes.join(" · "));
    this.#parts.notes.hidden = notes.length === 0;
  }

  #build() {
    const { id } = this.#machine;
    const { machine, demo } = document.body.dataset;
    const name = displayName(id, machine);
    const parts = this.#parts;
    parts.pill = element("span", { class: "pill", data: { state: "unknown" } }, icon("unknown"), STATES.unknown.word);
    parts.alarmIcon = icon("low");
    parts.alarmKind = element("span", { class: "tile-alarm-kind" });
    parts.alarmLeft = element("span", { class: "tile-alarm-left" });
    parts.alarmWhy = element("span", { class: "tile-alarm-why" });
    parts.alarm = element("p", { class: "tile-alarm", hidden: "" }, parts.alarmIcon, parts.alarmKind, parts.alarmLeft, parts.alarmWhy);
    parts.value = element("span", { class: "probability-value" });
    parts.fill = element("span", { class: "meter-fill" });
    parts.mark = element("span", { class: "meter-threshold", hidden: "" });
    parts.signals = element("ul", { class: "tile-signals", "aria-label": "Signals" });
    parts.contact = element("span", { class: "contact" });
    parts.notes = element("span", { class: "tile-notes", hidden: "" });
    const foot = element("div", { class: "tile-foot" }, element("div", { class: "tile-news" }, parts.contact, parts.notes));
    if (demo === "true") foot.append(this.#actions(id, name));
    return element("li", { class: "tile", data: { state: "unknown", id } },
      element("div", { class: "tile-head" },
        element("h2", { class: "tile-name" },
          element("a", { class: "tile-link", href: `/fan/${encodeURIComponent(id)}` }, name)),
        parts.pill),
      parts.alarm,
      element("div", { class: "probability" },
        element("span", { class: "probability-label" }, "Fault probability"), parts.value,
        element("span", { class: "meter", "aria-hidden": "true" }, parts.fill, parts.mark)),
      parts.signals, foot);
  }

  #actions(id, name) {
    const button = (text, condition) => {
      const made = element("button", { type: "button", class: "button", "aria-label": `${text} ${name}` }, text);
      made.addEventListener("click", () => command(id, condition, made));
      return made;
    };
    return element("span", { class: "tile-actions" }, button("Break", "faulty"), button("Mend", "healthy"));
  }
}
