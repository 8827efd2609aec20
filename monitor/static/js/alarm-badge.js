// How many alarms nobody has acknowledged, beside the word Alarms on every page.

import { onAlarms } from "./alarm-feed.js";
import { UNANSWERED } from "./alarm-words.js";
import { setText } from "./dom.js";

const badge = document.getElementById("alarm-badge");

onAlarms((alarms) => {
  const waiting = alarms.filter((alarm) => UNANSWERED.has(alarm.state)).length;
  badge.hidden = waiting === 0;
  setText(badge, waiting === 0 ? "" : String(waiting));
  badge.setAttribute("aria-label", `${waiting} not acknowledged`);
  badge.setAttribute("role", "img");
});
