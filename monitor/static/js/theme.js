// The stylesheet's colours, for canvases, which know no variables.

const names = ["ink", "muted", "line", "trace", "trace-soft", "trace-band", "fault-mark", "fault-band", "panel"];
const listeners = new Set();
export const colour = {};

function read() {
  const style = getComputedStyle(document.documentElement);
  for (const name of names) colour[name.replaceAll("-", "_")] = style.getPropertyValue(`--${name}`).trim();
  colour.font = `12px ${style.getPropertyValue("--font")}`;
}

/** Calls back whenever canvases must be painted anew: the scheme changed, or the font has come. */
export function onRepaint(listener) {
  listeners.add(listener);
}

function repaint() {
  read();
  for (const listener of listeners) listener();
}

read();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
document.fonts.ready.then(repaint);
