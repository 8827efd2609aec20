// A line without axes, as small as a word; red where the model sees a fault.

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
      hooks: { draw: [(plot) => this.#marks(plot)] },
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

  #marks(plot) {
    const [times, values] = plot.data;
    const { ctx } = plot;
    const x = (index) => plot.valToPos(times[index], "x", true);
    const y = (index) => plot.valToPos(values[index], "y", true);
    const present = (index) => index >= 0 && values[index] !== null && values[index] !== undefined;
    const dot = (index) => {
      ctx.beginPath();
      ctx.arc(x(index), y(index), 2.4 * devicePixelRatio, 0, 2 * Math.PI);
      ctx.fill();
    };
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = colour.fault_mark;
    ctx.lineWidth = 1.8 * devicePixelRatio;
    ctx.lineJoin = "round";
    ctx.beginPath();
    this.#faults.forEach((fault, index) => {
      if (!fault || !present(index) || !present(index - 1)) return;
      ctx.moveTo(x(index - 1), y(index - 1));
      ctx.lineTo(x(index), y(index));
    });
    ctx.stroke();
    const last = times.length - 1;
    if (!this.#faults[last]) ctx.fillStyle = colour.trace;
    if (present(last)) dot(last);
    ctx.restore();
  }
}
