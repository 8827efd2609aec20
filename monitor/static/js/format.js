// How numbers, ages and names are written.

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dated = new Intl.DateTimeFormat("en-GB", {
  day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit",
});

export const DASH = "–";

/** "Fan 5" for the device 5 of a fan, its own name for any other. */
export function displayName(id, machine) {
  if (!/^[0-9]+$/.test(id)) return id;
  return `${machine.charAt(0).toUpperCase()}${machine.slice(1)} ${id}`;
}

/** "rotation_speed" as a label. */
export function label(name) {
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Four figures, so that a value does not change its width with every reading. */
export function number(value) {
  if (value === null || value === undefined) return DASH;
  const size = Math.abs(value);
  if (size >= 1e6 || (size > 0 && size < 1e-3)) return value.toExponential(2);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

/** A degree sign where a unit is written out for a machine. */
export function unit(text) {
  return text.replace(/^degrees? /, "°");
}

export function percent(probability) {
  if (probability === null) return DASH;
  const value = probability * 100;
  // Rounding must not claim certainty, and the probability itself may be rounded.
  if (value >= 99.5) return ">99 %";
  return value < 0.5 ? "<1 %" : `${value.toFixed(0)} %`;
}

export function duration(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

export function age(seconds) {
  if (seconds === null) return "not since the monitor started";
  return seconds < 2 ? "just now" : `${duration(seconds)} ago`;
}

export function time(milliseconds) {
  return clock.format(milliseconds);
}

export function moment(milliseconds) {
  return Date.now() - milliseconds < 12 * 3600e3 ? clock.format(milliseconds) : dated.format(milliseconds);
}
