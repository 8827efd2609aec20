// The bar and the banner: whether what the page shows is the present.

import { element, setData, setText } from "./dom.js";
import { time } from "./format.js";

const banner = document.getElementById("banner");
const live = document.getElementById("live");
const liveText = document.getElementById("live-text");
const services = document.getElementById("services");

function warn(text) {
  setText(banner, text);
  banner.hidden = text === "";
}

export const link = {
  /** The server answered. */
  alive(body) {
    document.body.classList.remove("stale");
    setData(live, "live", body.broker_trouble ? "false" : "true");
    setText(liveText, `Live ${time(Date.now())}`);
    showServices(body.services);
    if (body.broker_trouble) {
      warn(`No connection to the broker, so the values below stand still: ${body.broker_trouble}.`);
    } else if (body.services.predictor === "offline") {
      warn("The predictor is offline: readings wait for it, and the values below stand still.");
    } else if (body.monitor_trouble) {
      warn(`The monitor does not work as it should, so states and alarms may stand still: ${body.monitor_trouble}.`);
    } else warn("");
  },

  /** It has not answered for a while. */
  lost(since) {
    document.body.classList.add("stale");
    setData(live, "live", "false");
    setText(liveText, "Not live");
    const at = time(Date.now() - (performance.now() - since));
    warn(`The monitor has not answered since ${at}. What you see is that old.`);
  },
};

let shown = "";

function showServices(statuses) {
  const now = JSON.stringify(statuses);
  if (now === shown) return;
  shown = now;
  services.replaceChildren(
    ...Object.entries(statuses).map(([name, status]) =>
      element("li", { data: { status } }, name, element("span", { class: "visually-hidden" }, ` ${status}`),
        status === "offline" ? " offline" : "")),
  );
}
