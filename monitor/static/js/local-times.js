// Times that the server wrote, in the reader's zone, and machines by the name that people call them.

import { displayName, moment } from "./format.js";

for (const time of document.querySelectorAll("time[data-at]")) {
  const at = Number(time.dataset.at);
  time.setAttribute("datetime", new Date(at).toISOString());
  time.textContent = moment(at);
}
for (const link of document.querySelectorAll("[data-device]")) {
  link.textContent = displayName(link.dataset.device, document.body.dataset.machine);
}
