// A line without axes, as small as a word. Faulty verdicts are dots on it.

import uPlot from "../vendor/uplot/uPlot.esm.js";
import { colour } from "./theme.js";

/** A quiet signal must look quiet: noise is not blown up to the full height. */
export function calmRange(least = 0.08) {
  return (_plot, low, high) => {
    if (low === null || high === null) return [0, 1];
    const middle = (low + high) / 2;
    const span = Math.max(high - low, Math.abs(middle) * least, 1e-9);
    return [middle - span * 0.58, middle + span * 0.58];
  };
}

export class Sparkline {
  #plot;
  #faults = [];

  constructor(host) {
    this.#plot = new uPlot({
      width: Math.max(host.clientWidth, 20),
      height: host.clientHeight || 28,
      padding: [2, 5, 2, 2],
      cursor: { show: false },
      legend: { show: false },
      select: { show: false },
      axes: [{ show: false }, { show: false }],
      scales: { y: { range: calmRange() } },
      series: [{}, { stroke: () => colour.trace, width: 1.4, points: { show: false } }],
      hooks: { draw: [(plot) => this.#dots(plot)] },
    }, [[], []], host);
  }

  update(times, values, faults) {
    this.#faults = faults;
    this.#plot.setData([times, values]);
  }

  resize(width, height) {
    if (width > 0 && (width !== this.#plot.width || height !== this.#plot.height)) this.#plot.setSize({ width, height });
  }

  repaint() {
    this.#plot.redraw(false);
  }

  #dots(plot) {
    const [times, values] = plot.data;
    const { ctx } = plot;
    const radius = 1.7 * devicePixelRatio;
    const dot = (index, style, size) => {
      if (values[index] === null || values[index] === undefined) return;
      ctx.fillStyle = style;
      ctx.beginPath();
      ctx.arc(plot.valToPos(times[index], "x", true), plot.valToPos(values[index], "y", true), size, 0, 2 * Math.PI);
      ctx.fill();
    };
    ctx.save();
    this.#faults.forEach((fault, index) => fault && dot(index, colour.fault_solid, radius));
    const last = times.length - 1;
    if (last >= 0) dot(last, this.#faults[last] ? colour.fault_solid : colour.trace, radius * 1.45);
    ctx.restore();
  }
}
