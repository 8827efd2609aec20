// The alarm history of one machine.

import { kindWord } from "./alarm-words.js";
import { element, icon } from "./dom.js";
import { moment } from "./format.js";

const find = (id) => document.getElementById(id);

export async function showPast(id) {
  const answer = await fetch(`/api/fans/${encodeURIComponent(id)}/history`, { signal: AbortSignal.timeout(8000), cache: "no-store" });
  if (!answer.ok) return;
  const { past } = await answer.json();
  find("past-none").hidden = past.length > 0;
  find("past-frame").hidden = past.length === 0;
  find("past-body").replaceChildren(...past.map((each) => element("tr", {},
    element("td", {}, moment(each.raised)),
    element("td", {}, element("span", { class: "mark", data: { priority: each.priority } }, icon(each.priority), kindWord(each.kind))),
    element("td", { class: "why" }, each.why),
    element("td", {}, each.ended ? moment(each.ended) : each.cleared ? "cleared, not answered" : "going on"),
    element("td", {}, each.acknowledged_by ?? "–"),
    element("td", {}, each.outcome ? `${each.outcome} (${each.closed_by})${each.note ? `: ${each.note}` : ""}` : "–"))));
}
