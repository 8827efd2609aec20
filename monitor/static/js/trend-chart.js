// A trend towards its limit: the medians it was fitted to, the line, its band, the limit, and when the band reaches it.

import uPlot from "../vendor/uplot/uPlot.esm.js";
import { colour } from "./theme.js";
import { axis } from "./time-chart.js";

const DAY_S = 86400;
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const precise = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

export class TrendChart {
  #plot;
  #trend = null;

  constructor(host) {
    this.#plot = new uPlot({
      width: Math.max(host.clientWidth, 100),
      height: host.clientHeight,
      padding: [10, 12, 0, 0],
      legend: { show: false },
      select: { show: false },
      cursor: { show: false },
      scales: { y: { range: (_plot, low, high) => this.#range(low, high) } },
      axes: [{ ...axis((_plot, ticks) => ticks.map((tick) => this.#when(tick)), 26), space: 80 }, { ...axis(null, 54), space: 34 }],
      series: [{},
        { stroke: () => "transparent", points: { show: false } },
        { stroke: () => "transparent", points: { show: false } },
        { stroke: () => colour.ink, width: 1.8, points: { show: false } },
        { stroke: () => colour.trace, paths: () => null, points: { show: true, size: 5, fill: () => colour.trace } }],
      bands: [{ series: [2, 1], fill: () => colour.trace_band }],
      hooks: { drawClear: [(plot) => this.#crossing(plot)], draw: [(plot) => this.#limit(plot)] },
    }, [[], [], [], [], []], host);
    new ResizeObserver(() => {
      if (host.clientWidth > 0) this.#plot.setSize({ width: host.clientWidth, height: host.clientHeight });
    }).observe(host);
  }

  update(trend) {
    this.#trend = trend;
    const { line, points } = trend;
    const measured = new Map(points.at.map((at, index) => [at, points.value[index]]));
    this.#plot.setData([
      line.at.map((at) => at / 1000), line.low, line.high, line.middle, line.at.map((at) => measured.get(at) ?? null),
    ]);
  }

  repaint() {
    this.#plot.redraw(true, true);
  }

  #when(tick) {
    const { min, max } = this.#plot.scales.x;
    if (max - min > 2 * DAY_S) return day.format(tick * 1000);
    return (max - min < 600 ? precise : clock).format(tick * 1000);
  }

  #range(low, high) {
    if (low === null || this.#trend === null) return [0, 1];
    const { limit, line, points } = this.#trend;
    // The band far ahead may be wide: what was measured and the limit decide about the scale.
    const seen = [limit, ...points.value, line.middle[0], line.middle.at(-1)];
    const [least, most] = [Math.min(...seen), Math.max(...seen)];
    const room = Math.max((most - least) * 0.12, 1e-9);
    return [least - room, most + room];
  }

  #crossing(plot) {
    if (this.#trend === null) return;
    const { ctx, bbox } = plot;
    const x = (time) => Math.min(Math.max(plot.valToPos(time / 1000, "x", true), bbox.left), bbox.left + bbox.width);
    const [from, to] = [x(this.#trend.earliest), x(this.#trend.latest)];
    ctx.save();
    ctx.fillStyle = colour.fault_band;
    ctx.fillRect(from, bbox.top, Math.max(to - from, devicePixelRatio), bbox.height);
    ctx.restore();
  }

  #limit(plot) {
    if (this.#trend === null) return;
    const { ctx, bbox } = plot;
    const y = plot.valToPos(this.#trend.limit, "y", true);
    ctx.save();
    ctx.strokeStyle = colour.fault_mark;
    ctx.lineWidth = 1.75 * devicePixelRatio;
    ctx.setLineDash([7 * devicePixelRatio, 5 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.restore();
  }
}
