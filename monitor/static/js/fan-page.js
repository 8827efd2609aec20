// The page of one machine: its state, its signals with the verdicts marked on them, and the newest verdicts in words.

import { onAlarms } from "./alarm-feed.js";
import { AlarmList, isAimed } from "./alarm-list.js";
import { ASIDE, kindWord, UNANSWERED } from "./alarm-words.js";
import { announce, say } from "./announcer.js";
import { command } from "./commands.js";
import { element, icon, setData, setText } from "./dom.js";
import { age, displayName, duration, label, moment, number, percent, time, unit } from "./format.js";
import { Feed } from "./feed.js";
import { link } from "./link.js";
import { showLosses } from "./losses.js";
import { Machine } from "./machine.js";
import { planned } from "./maintenance.js";
import { follow, repaint as repaintOutlook, showReasons } from "./outlook.js";
import { showPast } from "./past-alarms.js";
import { ScatterChart } from "./scatter-chart.js";
import { others, STATES, WAY_DOWN } from "./states.js";
import { onRepaint } from "./theme.js";
import { TimeChart } from "./time-chart.js";

const POINTS = 300;
const ROWS = 10;
const LATE_S = 60;
const find = (id) => document.getElementById(id);
const id = document.body.dataset.deviceId;
const name = displayName(id, document.body.dataset.machine);
const machine = new Machine(id, POINTS);
let signature = null;
let known = false;
let signalNames = "";
let signals = [];
let scatter = null;
let probability = null;
let usual = new Map();
const alarmList = new AlarmList(find("alarm-list"), { withDevice: false });
let toldAlarms = null;
let unanswered = null;

function take(body, fresh) {
  signature = body.signature;
  machine.wayDown = body.way_is_down;
  if (fresh && body.fans.length === 0) known = false;
  for (const fan of body.fans) {
    const before = machine.state;
    machine.take(fan);
    if (known && before !== machine.state) announce(machine, before);
    known = true;
  }
  head();
  if (body.fans.length > 0) draw();
}

function head() {
  setData(find("head"), "state", machine.state);
  setData(find("pill"), "state", machine.state);
  find("pill-icon").setAttribute("href", `#icon-${machine.state}`);
  setText(find("pill-word"), STATES[machine.state].word);
  setText(document.querySelector("title"), `${machine.state === "fault" ? "Fault: " : ""}${name} · Fanwatch`);
  setText(find("since"), known ? since() : "Nothing has been heard of it yet.");
  if (!known) return;
  setText(find("fact-probability"), percent(machine.probability));
  setData(find("fact-probability"), "over", String(machine.fault === 1));
  setText(find("fact-contact"), age(machine.contactAge));
  setText(find("fact-rejected"), String(machine.rejected));
  setText(find("fact-model"), machine.model ?? "–");
  showLosses(find("losses"), machine.losses);
  const notes = machine.wayDown ? [`${WAY_DOWN}.`] : [];
  if (machine.behind_s > LATE_S && machine.state !== "silent" && !machine.wayDown) {
    notes.push(`These readings are ${duration(machine.behind_s)} old: a backlog, or a clock that is wrong.`);
  }
  if (machine.refusal) {
    notes.push(`Last refused at ${moment(machine.refusal.received)} (${machine.refusal.reason.replaceAll("_", " ")}): ${machine.refusal.detail}`);
  }
  setText(find("head-note"), notes.join(" "));
  find("head-note").hidden = notes.length === 0;
}

/** Since when, and what else is the matter. */
function since() {
  const from = machine.since === null ? "since before the monitor started" : `since ${moment(machine.since)}`;
  return [from, ...others(machine)].join(" · ");
}

function draw() {
  if (machine.newest === null) return;
  if (machine.signals.join(" ") !== signalNames) build();
  const { times, faults } = machine;
  probability.chart.update(times, machine.probabilities, faults, signature?.threshold ?? null);
  find("threshold-key").hidden = signature === null;
  if (signature) setText(find("threshold-key"), `fault from ${percent(signature.threshold)}`);
  probability.show(probability.chart.cursor);
  signals.forEach((each, index) => {
    each.chart.update(times, machine.values(index), faults, null, usual.get(each.name) ?? null);
    each.show(each.chart.cursor);
    setText(each.unit, unitOf(each.name));
  });
  against();
  table();
}

/** The machine's alarms, their reasons and its history, whenever they are others. */
function takeAlarms(all, timeLeft, _changed, ordered) {
  const mine = all.filter((alarm) => alarm.device === id);
  const now = JSON.stringify(mine);
  const changed = now !== toldAlarms;
  if (changed && isAimed() && toldAlarms !== null && !ordered) return; // not under a finger
  toldAlarms = now;
  find("alarms").hidden = mine.length === 0 && find("order-note").textContent === "";
  alarmList.show(mine, timeLeft);
  if (!changed) return;
  showReasons([...mine.filter((alarm) => !ASIDE.has(alarm.state)), ...mine.filter((alarm) => ASIDE.has(alarm.state))]);
  const waiting = mine.filter((alarm) => UNANSWERED.has(alarm.state));
  for (const alarm of unanswered === null ? [] : waiting) {
    if (!unanswered.has(alarm.id)) say(`alarm ${alarm.id}`, `New alarm: ${kindWord(alarm.kind)}. ${alarm.why}`);
  }
  unanswered = new Set(waiting.map((alarm) => alarm.id));
  showPast(id).catch(() => {}); // the bar tells when the monitor is away
}

document.addEventListener("ordered", ({ detail }) => {
  if (detail.action === "close") showPast(id).catch(() => {}); // a label is no change of the alarm
});

function unitOf(signal) {
  const spec = signature?.signals.find((each) => each.name === signal);
  return spec ? unit(spec.unit) : "";
}

function readout(output, plot, title, values, write) {
  return (index) => {
    const all = values();
    const at = index ?? all.length - 1;
    setText(output, index === null ? write(all[at]) : `${time(machine.times[at] * 1000)}  ${write(all[at])}`);
    plot.setAttribute("aria-label", `${title} over time, newest ${write(all.at(-1))}`);
  };
}

function build() {
  signalNames = machine.signals.join(" ");
  const figure = find("probability-chart");
  probability ??= chart(figure, "Fault probability", () => machine.probabilities, percent, { range: [0, 1], fill: true });
  find("signals").replaceChildren();
  signals = machine.signals.map((signal, index) => {
    const unitText = element("span", { class: "unit" });
    const made = element("figure", { class: "chart", data: { signal } },
      element("figcaption", {}, element("h2", {}, label(signal)), unitText, element("output", { class: "readout", "aria-live": "off" })),
      element("div", { class: "plot", role: "img" }));
    find("signals").append(made);
    const write = (value) => `${number(value)} ${unitOf(signal)}`.trim();
    return { name: signal, unit: unitText, ...chart(made, label(signal), () => machine.values(index), write, {}) };
  });
  scatterAxes();
}

function chart(figure, title, values, write, options) {
  const plot = figure.querySelector(".plot");
  const show = readout(figure.querySelector(".readout"), plot, title, values, write);
  return { show, chart: new TimeChart(plot, { ...options, onCursor: show }) };
}

function scatterAxes() {
  const names = machine.signals;
  find("scatter-chart").hidden = names.length < 2;
  if (names.length < 2) return;
  // For a fan the pair that tells most; for another machine the first two, until somebody chooses.
  const first = names.includes("rotation") ? "rotation" : names[0];
  const second = names.includes("vibration") ? "vibration" : names.find((each) => each !== first);
  for (const [select, choice] of [[find("scatter-y"), first], [find("scatter-x"), second]]) {
    select.replaceChildren(...names.map((each) => element("option", { value: each }, label(each))));
    select.value = choice;
    select.onchange = against;
  }
  scatter ??= new ScatterChart(find("scatter-chart").querySelector(".plot"));
}

function against() {
  if (find("scatter-chart").hidden) return;
  const [x, y] = ["scatter-x", "scatter-y"].map((select) => {
    const signal = find(select).value;
    const text = [label(signal), unitOf(signal)].filter(Boolean).join(", ");
    return { values: machine.values(machine.signals.indexOf(signal)), text };
  });
  setText(find("scatter-title"), `${y.text.split(",")[0]} against ${x.text.split(",")[0].toLowerCase()}`);
  scatter.update(x, y, machine.faults);
}

function table() {
  const heads = ["Time", "Verdict", "Probability", ...machine.signals.map(label)];
  find("verdicts-head").replaceChildren(element("tr", {}, ...heads.map((each) => element("th", { scope: "col" }, each))));
  find("verdicts-body").replaceChildren(...machine.verdicts(ROWS).map((each) => {
    const state = each.fault ? "fault" : "healthy";
    return element("tr", {}, element("td", {}, time(each.at)),
      element("td", {}, element("span", { class: "mark", data: { state } }, icon(state), STATES[state].word)),
      element("td", {}, percent(each.probability)), ...each.values.map((value) => element("td", {}, number(value))));
  }));
}

for (const button of document.querySelectorAll("[data-condition]")) {
  button.addEventListener("click", () => command(id, button.dataset.condition, button));
}
setText(find("name"), name);
setText(document.querySelector("title"), `${name} · Fanwatch`);
onRepaint(() => {
  for (const each of [...signals, ...(probability ? [probability] : [])]) each.chart.repaint();
  scatter?.repaint();
  repaintOutlook();
});
onAlarms(takeAlarms);
planned(id);
follow(id, ({ signals: plans }) => (usual = new Map(plans.map((plan) => [plan.name, plan]))));
setInterval(() => known && setText(find("fact-contact"), age(machine.contactAge)), 1000);
new Feed(`/api/fans/${encodeURIComponent(id)}`, take, link).start();
