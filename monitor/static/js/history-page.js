// The alarm history: what was found of an alarm is said here too, also when it is long over.

import "./local-times.js";
import { closeOut } from "./alarm-orders.js";

const KEPT = "said";

for (const button of document.querySelectorAll("[data-close]")) {
  button.addEventListener("click", () => closeOut(Number(button.dataset.close), button.dataset.what));
  button.disabled = false; // as the server sends it, nobody would hear a click
}
document.addEventListener("ordered", ({ detail }) => {
  if (!detail.done) return;
  sessionStorage.setItem(KEPT, String(detail.id));
  location.reload();
});
// After the reload the focus is where it was.
const said = sessionStorage.getItem(KEPT);
sessionStorage.removeItem(KEPT);
if (said) document.querySelector(`[data-close="${CSS.escape(said)}"]`)?.focus();
