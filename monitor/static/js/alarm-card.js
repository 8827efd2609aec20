// One alarm, with what may be done about it by who is signed in.

import { ACTIONS, order } from "./alarm-orders.js";
import { ASIDE, closeSentence, kindWord, PRIORITIES, stateSentence, UNANSWERED } from "./alarm-words.js";
import { element, icon, setText } from "./dom.js";
import { displayName, moment } from "./format.js";
import { who } from "./session.js";

const ORDER = ["acknowledge", "reset", "unshelve", "shelve", "close"];

export class AlarmCard {
  #told = "";
  #left = element("span", { class: "alarm-left" });

  /** withDevice is false on the machine's own page. */
  constructor(alarm, { withDevice }) {
    this.withDevice = withDevice;
    this.root = element("li", { class: "alarm" });
    this.take(alarm);
  }

  /** Built anew only when something is different; the focus stays on what has the same name. */
  take(alarm, left = null) {
    this.alarm = alarm;
    const now = JSON.stringify(alarm);
    if (now !== this.#told) {
      this.#told = now;
      const focused = this.root.contains(document.activeElement) ? document.activeElement.dataset.action : null;
      this.#build(alarm);
      if (focused !== null) (this.root.querySelector(`[data-action="${focused}"]`) ?? this.root.querySelector("button, a"))?.focus({ preventScroll: true });
    }
    this.#left.hidden = left === null;
    if (left !== null) setText(this.#left, `${left.words} left`);
  }

  #build(alarm) {
    const name = displayName(alarm.device, document.body.dataset.machine);
    const kind = kindWord(alarm.kind);
    const what = `${kind}, ${name}`;
    Object.assign(this.root.dataset, {
      id: alarm.id ?? "", priority: alarm.priority, state: alarm.state,
      answered: String(!UNANSWERED.has(alarm.state)), aside: String(ASIDE.has(alarm.state)),
    });
    const head = element("div", { class: "alarm-head" });
    if (this.withDevice) {
      head.append(element("h3", { class: "alarm-device" },
        element("a", { href: `/fan/${encodeURIComponent(alarm.device)}`, data: { action: "device" } }, name)));
    }
    head.append(
      element("span", { class: "priority", data: { priority: alarm.priority } }, icon(alarm.priority), PRIORITIES[alarm.priority].word),
      element(this.withDevice ? "span" : "h3", { class: "alarm-kind" }, kind), this.#left);
    const raised = alarm.raised === null ? "" : ` Raised ${moment(alarm.raised)}.`;
    const text = element("div", {}, head,
      element("p", { class: "alarm-why" }, alarm.why || "No reason was given."),
      element("p", { class: "alarm-state" }, `${stateSentence(alarm)}${raised} ${closeSentence(alarm)}`.trim()));
    this.root.replaceChildren(text, this.#actions(alarm, what));
  }

  #actions(alarm, what) {
    const possible = ORDER.filter((each) => alarm.actions.includes(each));
    const actions = element("div", { class: "alarm-actions" });
    if (possible.length > 0 && who === null) {
      const next = encodeURIComponent(location.pathname);
      actions.append(element("a", { class: "button", href: `/login?next=${next}`, data: { action: "login" }, "aria-label": `Sign in to act: ${what}` }, "Sign in to act"));
      return actions;
    }
    for (const action of possible) {
      const word = action === "close" && alarm.outcome ? "Correct" : ACTIONS[action].word;
      const button = element("button", {
        type: "button", class: action === possible[0] && action !== "shelve" && action !== "close" ? "button primary" : "button",
        data: { action }, "aria-label": `${word}: ${what}`,
      }, word);
      button.addEventListener("click", () => order(action, alarm.id, what, button));
      actions.append(button);
    }
    return actions;
  }
}
