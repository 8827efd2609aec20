// How long the machine will do, and why there is an alarm: the trend with its band, the reasons beside it.

import { kindWord } from "./alarm-words.js";
import { element, setText } from "./dom.js";
import { label, number, percent, unit } from "./format.js";
import { TrendChart } from "./trend-chart.js";

const INTERVAL_MS = 3000;
const find = (id) => document.getElementById(id);
let chart = null;
let toldReasons = "";

/** Asks for the diagnosis of the machine now and again, and hands what is usual for its signals to taken(). */
export async function follow(id, taken) {
  for (;;) {
    try {
      const answer = await fetch(`/api/fans/${encodeURIComponent(id)}/diagnosis`, { signal: AbortSignal.timeout(5000), cache: "no-store" });
      if (answer.ok) {
        const body = await answer.json();
        showTrend(body);
        taken(body);
      }
    } catch (error) {
      if (error instanceof TypeError || error.name === "TimeoutError") { /* the bar tells when the monitor is away */ } else reportError(error);
    }
    await new Promise((resume) => setTimeout(resume, INTERVAL_MS));
  }
}

export function repaint() {
  chart?.repaint();
}

function showTrend({ trend, health, signals, confidence }) {
  const plot = find("trend-chart").querySelector(".plot");
  plot.hidden = find("trend-legend").hidden = trend === null;
  find("trend-none").hidden = trend !== null;
  setText(find("fact-left"), trend ? trend.words : health === null ? "–" : "no trend");
  if (trend === null) {
    setText(find("trend-title"), "Trend");
    setText(find("trend-unit"), "");
    setText(find("trend-words"), "");
    const watched = signals.some((each) => each.worn.length > 0);
    setText(find("trend-none"), health === null ? "Nothing has been heard of it yet."
      : watched ? "No trend: none of its signals moves steadily towards where it is worn out."
        : "The plant's file names no limit of wear, so no trend is looked for.");
    return;
  }
  setText(find("trend-title"), `${label(trend.label)} towards ${number(trend.limit)}`);
  setText(find("trend-unit"), unit(trend.unit));
  setText(find("trend-words"), `${trend.words} left`);
  setText(find("trend-band"), `${percent(confidence)} band`);
  chart ??= new TrendChart(plot);
  chart.update(trend);
}

/** The contributions of the foremost alarm that has any. */
export function showReasons(alarms) {
  const alarm = alarms.find((each) => each.contributions.length > 0) ?? alarms[0] ?? null;
  const now = JSON.stringify(alarm && [alarm.id, alarm.why, alarm.contributions]);
  if (now === toldReasons) return;
  toldReasons = now;
  find("reasons-none").hidden = alarm !== null;
  find("reasons-why").hidden = alarm === null;
  find("shares").hidden = alarm === null || alarm.contributions.length === 0;
  setText(find("reasons-title"), alarm ? `Reasons: ${kindWord(alarm.kind).toLowerCase()}` : "Reasons");
  if (alarm === null) return;
  setText(find("reasons-why"), alarm.why || "No reason was given.");
  find("shares").replaceChildren(...alarm.contributions.map(share));
}

function share(part) {
  const [low, high] = part.usual;
  const fill = element("span", { class: "share-fill" });
  fill.style.transform = `scaleX(${part.share})`;
  return element("li", { data: { outside: String(part.value < low || part.value > high) } },
    element("span", { class: "share-name" }, label(part.signal)),
    element("span", { class: "share-value" }, `${number(part.value)} ${unit(part.unit)}`.trim()),
    element("span", { class: "share-bar", "aria-hidden": "true" }, fill),
    element("span", { class: "share-part" }, percent(part.share)),
    element("span", { class: "share-usual" }, `usual ${number(low)} to ${number(high)}`));
}
