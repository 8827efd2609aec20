// One signal against another: circles for healthy verdicts, triangles for faults, a ring around the newest.

import uPlot from "../vendor/uplot/uPlot.esm.js";
import { axis, triangle } from "./time-chart.js";
import { colour } from "./theme.js";

export class ScatterChart {
  #plot;
  #newest = null;
  #limits = [null, null];

  constructor(host) {
    const range = (which) => (_plot, low, high) => this.#range(which, low, high);
    this.#plot = new uPlot({
      mode: 2,
      width: Math.max(host.clientWidth, 100),
      height: host.clientHeight,
      padding: [10, null, 0, 0],
      legend: { show: false },
      cursor: { show: false },
      select: { show: false },
      scales: { x: { time: false, range: range(0) }, y: { range: range(1) } },
      axes: [{ ...axis(null, 24), label: " ", labelSize: 18, labelFont: colour.font, space: 60 },
        { ...axis(null, 44), label: " ", labelSize: 18, labelFont: colour.font, space: 38 }],
      series: [{},
        { stroke: () => colour.trace, paths: this.#painter((ctx, x, y, size) => { ctx.beginPath(); ctx.arc(x, y, size, 0, 2 * Math.PI); }, 0.6) },
        { stroke: () => colour.fault_mark, paths: this.#painter(triangle, 0.9) }],
      hooks: { draw: [(plot) => this.#ring(plot)] },
    }, [null, [[], []], [[], []]], host);
    new ResizeObserver(() => {
      if (host.clientWidth > 0) this.#plot.setSize({ width: host.clientWidth, height: host.clientHeight });
    }).observe(host);
  }

  /** x and y are { values, text, limits }, where limits is a plausible [low, high] or null. */
  update(x, y, faults) {
    const healthy = [[], []], faulty = [[], []];
    faults.forEach((fault, index) => {
      if (x.values[index] === null || y.values[index] === null) return;
      const into = fault ? faulty : healthy;
      into[0].push(x.values[index]);
      into[1].push(y.values[index]);
    });
    const last = faults.length - 1;
    this.#newest = last >= 0 ? [x.values[last], y.values[last]] : null;
    this.#limits = [x, y].map(({ values }) => {
      const numbers = values.filter((value) => value !== null);
      return numbers.length ? [Math.min(...numbers), Math.max(...numbers)] : null;
    });
    this.#plot.axes[0].label = x.text;
    this.#plot.axes[1].label = y.text;
    this.#plot.setData([null, healthy, faulty]);
  }

  repaint() {
    this.#plot.redraw(true, true);
  }

  #range(which) {
    const limits = this.#limits[which];
    if (!limits) return [0, 1];
    const span = Math.max(limits[1] - limits[0], Math.abs(limits[0]) * 0.2, 1e-9);
    const middle = (limits[0] + limits[1]) / 2;
    return [middle - span * 0.57, middle + span * 0.57];
  }

  #painter(shape, opacity) {
    return (plot, index) => {
      const [xs, ys] = plot.data[index];
      const { ctx } = plot;
      ctx.save();
      ctx.globalAlpha = opacity;
      ctx.fillStyle = plot.series[index].stroke();
      xs.forEach((x, at) => {
        shape(ctx, plot.valToPos(x, "x", true), plot.valToPos(ys[at], "y", true), 3.6 * devicePixelRatio);
        ctx.fill();
      });
      ctx.restore();
      return null;
    };
  }

  #ring(plot) {
    if (!this.#newest || this.#newest.includes(null)) return;
    const { ctx } = plot;
    ctx.save();
    ctx.strokeStyle = colour.ink;
    ctx.lineWidth = 2 * devicePixelRatio;
    ctx.beginPath();
    ctx.arc(plot.valToPos(this.#newest[0], "x", true), plot.valToPos(this.#newest[1], "y", true), 7 * devicePixelRatio, 0, 2 * Math.PI);
    ctx.stroke();
    ctx.restore();
  }
}
