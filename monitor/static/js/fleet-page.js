// The fleet page: a tile for each machine, the most urgent first.

import { onAlarms } from "./alarm-feed.js";
import { ASIDE, foremost, kindWord, UNANSWERED } from "./alarm-words.js";
import { announce, say } from "./announcer.js";
import { setData, setText } from "./dom.js";
import { displayName } from "./format.js";
import { Feed } from "./feed.js";
import { link } from "./link.js";
import { showLosses } from "./losses.js";
import { Machine } from "./machine.js";
import { STATES } from "./states.js";
import { onRepaint } from "./theme.js";
import { Tile } from "./tile.js";
import { TileOrder } from "./tile-order.js";

const POINTS = 60;
const list = document.getElementById("tiles");
const empty = document.getElementById("empty");
const buttons = [...document.querySelectorAll("#summary .count")];
const machines = new Map();
const tiles = new Map();
const order = new TileOrder(list, tiles);
let chosen = null;
let signature = "null";

const sight = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const tile = tiles.get(entry.target.dataset.id);
    if (tile) tile.visible = entry.isIntersecting;
  }
}, { rootMargin: "150px" });
const size = new ResizeObserver(() => { for (const tile of tiles.values()) tile.resize(); });

function take(body, fresh) {
  if (fresh) {
    const told = new Set(body.fans.map((fan) => fan.id));
    for (const id of machines.keys()) if (!told.has(id)) remove(id);
  }
  for (const fan of body.fans) update(fan, body.signature);
  const now = JSON.stringify(body.signature);
  if (now !== signature) {
    signature = now;
    for (const tile of tiles.values()) tile.changed(body.signature);
  }
  for (const tile of tiles.values()) tile.wayDown = body.way_is_down;
  summarise(body.counts);
  showLosses(document.getElementById("losses"), body.losses);
  empty.hidden = body.total > 0 || body.broker_trouble !== null;
  return machines.size === body.total;
}

function update(fan, newSignature) {
  let machine = machines.get(fan.id);
  const before = machine?.state;
  if (!machine) {
    machine = new Machine(fan.id, POINTS);
    machines.set(fan.id, machine);
    machine.take(fan);
    add(machine);
    alarmed(machine);
  } else machine.take(fan);
  tiles.get(fan.id).changed(newSignature);
  if (before === machine.state) return;
  if (before !== undefined) announce(machine, before);
  filter(tiles.get(fan.id));
  order.request();
}

/** The alarms' answer and the fleet's come apart, so either may be first. */
let first = new Map();
let aside = new Set();
let left = {};

function takeAlarms(alarms, timeLeft, changed) {
  left = timeLeft;
  if (changed) {
    first = foremost(alarms);
    aside = new Set(alarms.filter((alarm) => ASIDE.has(alarm.state)).map((alarm) => alarm.device));
  }
  for (const machine of machines.values()) alarmed(machine);
}

function alarmed(machine) {
  const before = urgency(machine);
  const was = machine.alarm?.id;
  machine.alarm = first.get(machine.id) ?? null;
  machine.aside = aside.has(machine.id);
  machine.left = left[machine.id] ?? null;
  tiles.get(machine.id).alarmed();
  if (urgency(machine) === before) return;
  order.request();
  const { alarm } = machine;
  if (alarm && alarm.id !== was && UNANSWERED.has(alarm.state)) {
    say(`alarm ${alarm.id}`, `Alarm: ${displayName(machine.id, document.body.dataset.machine)}, ${kindWord(alarm.kind)}`);
  }
}

function urgency({ alarm, aside: isAside, left: timeLeft }) {
  return `${alarm?.id} ${alarm?.state} ${isAside} ${timeLeft?.words}`;
}

function add(machine) {
  const tile = new Tile(machine);
  tiles.set(machine.id, tile);
  list.append(tile.root);
  sight.observe(tile.root);
}

function remove(id) {
  const tile = tiles.get(id);
  sight.unobserve(tile.root);
  tile.root.remove();
  tiles.delete(id);
  machines.delete(id);
}

function summarise(counts) {
  for (const button of buttons) {
    const { state } = button.dataset;
    setText(button.querySelector("[data-count]"), String(counts[state]));
    setData(button, "some", String(counts[state] > 0));
  }
  setText(document.querySelector("title"), counts.fault > 0 ? `(${counts.fault}) Fleet · Fanwatch` : "Fleet · Fanwatch");
}

function filter(tile) {
  tile.root.hidden = chosen !== null && tile.state !== chosen;
}

function choose(state) {
  chosen = state;
  for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.state === chosen));
  for (const tile of tiles.values()) filter(tile);
  document.getElementById("filter-note").hidden = chosen === null;
  setText(document.getElementById("filter-text"), chosen === null ? "" : `Only ${STATES[chosen].word.toLowerCase()} machines are listed.`);
}

for (const button of buttons) {
  button.addEventListener("click", () => choose(chosen === button.dataset.state ? null : button.dataset.state));
}
document.getElementById("show-all").addEventListener("click", () => {
  const was = chosen;
  choose(null);
  buttons.find((button) => button.dataset.state === was)?.focus();
});

size.observe(list);
onRepaint(() => { for (const tile of tiles.values()) tile.repaint(); });
setInterval(() => { for (const tile of tiles.values()) tile.tick(); }, 1000);
onAlarms(takeAlarms);
new Feed("/api/fans", take, link).start();
