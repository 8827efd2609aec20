// The alarm list: what nobody has acknowledged, what somebody has, what was put aside.

import { onAlarms } from "./alarm-feed.js";
import { AlarmList, isAimed } from "./alarm-list.js";
import { ASIDE, kindWord, PRIORITIES, UNANSWERED } from "./alarm-words.js";
import { say } from "./announcer.js";
import { setText } from "./dom.js";
import { displayName } from "./format.js";
import { Feed } from "./feed.js";
import { link } from "./link.js";

const GROUPS = {
  unanswered: (alarm) => UNANSWERED.has(alarm.state),
  answered: (alarm) => !UNANSWERED.has(alarm.state) && !ASIDE.has(alarm.state),
  aside: (alarm) => ASIDE.has(alarm.state),
};
const lists = new Map(Object.keys(GROUPS).map((group) => [
  group, new AlarmList(document.querySelector(`#${group} .alarms`), { withDevice: true }),
]));
let known = null;

function show(alarms, timeLeft, _changed, ordered) {
  if (isAimed() && known !== null && !ordered) return; // the next answer is a second away
  const lost = document.activeElement !== document.body && document.activeElement.closest(".alarm") !== null;
  for (const [group, belongs] of Object.entries(GROUPS)) {
    const mine = alarms.filter(belongs);
    document.getElementById(group).hidden = mine.length === 0;
    setText(document.querySelector(`#${group} .group-count`), String(mine.length));
    lists.get(group).show(mine, timeLeft);
  }
  // Who acknowledged by keyboard goes on with the next one, not at the top of the page.
  if (lost && document.activeElement === document.body) {
    (document.querySelector(".alarm button, .alarm a") ?? document.getElementById("main")).focus();
  }
  document.getElementById("calm").hidden = alarms.length > 0;
  const waiting = alarms.filter(GROUPS.unanswered);
  setText(document.querySelector("title"), `${waiting.length > 0 ? `(${waiting.length}) ` : ""}Alarms · Fanwatch`);
  announce(waiting);
}

function announce(waiting) {
  const ids = new Set(waiting.map((alarm) => alarm.id));
  for (const alarm of known === null ? [] : waiting) {
    if (known.has(alarm.id)) continue;
    const name = displayName(alarm.device, document.body.dataset.machine);
    say(`alarm ${alarm.id}`, `New alarm, ${PRIORITIES[alarm.priority].word.toLowerCase()} priority: ${name}, ${kindWord(alarm.kind)}`);
  }
  known = ids;
}

onAlarms(show);
// The bar says whether what is shown is the present.
new Feed("/api/fans", () => true, link).start();
