// One quantity over time, with the verdicts marked on it: a band where the model sees a fault, a triangle at each.

import uPlot from "../vendor/uplot/uPlot.esm.js";
import { time } from "./format.js";
import { calmRange } from "./sparkline.js";
import { colour } from "./theme.js";

const SYNC = "fan";

/** The axes of every chart of the page. */
export function axis(values, size) {
  return {
    stroke: () => colour.muted, font: colour.font, size, gap: 4,
    grid: { stroke: () => colour.line, width: 1 }, ticks: { show: false }, ...(values ? { values } : {}),
  };
}

export function triangle(ctx, x, y, size) {
  ctx.beginPath();
  ctx.moveTo(x, y - size);
  ctx.lineTo(x + size, y + size * 0.8);
  ctx.lineTo(x - size, y + size * 0.8);
  ctx.closePath();
}

export class TimeChart {
  #plot;
  #faults = [];
  #threshold = null;
  #plan = null;
  #onCursor;

  /**
   * range is a fixed [low, high], or null for one that follows the data; onCursor is told the index under the
   * pointer, of this chart or of any other of the page, or null.
   */
  constructor(host, { range = null, fill = false, onCursor }) {
    this.#onCursor = onCursor;
    this.#plot = new uPlot({
      width: Math.max(host.clientWidth, 100),
      height: host.clientHeight,
      padding: [8, null, 0, 0],
      legend: { show: false },
      select: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, sync: { key: SYNC }, points: { size: 8 } },
      scales: { y: { range: range ?? calmRange(0.12) } },
      axes: [
        { ...axis((_plot, ticks) => ticks.map((tick) => time(tick * 1000)), 26), space: 92 },
        { ...axis(fill ? (_plot, ticks) => ticks.map((tick) => `${Math.round(tick * 100)} %`) : null, 54), space: 34 },
      ],
      series: [{}, {
        stroke: () => colour.trace, width: 1.6, fill: fill ? () => colour.trace_soft : undefined, points: { show: false },
      }],
      hooks: {
        drawClear: [(plot) => fill || this.#bands(plot), (plot) => this.#usual(plot)], // the curve of the probability says it itself
        draw: [(plot) => this.#marks(plot)],
        setCursor: [(plot) => this.#onCursor(plot.cursor.idx ?? null)],
      },
    }, [[], []], host);
    new ResizeObserver(() => {
      if (host.clientWidth > 0) this.#plot.setSize({ width: host.clientWidth, height: host.clientHeight });
    }).observe(host);
  }

  /** plan is what is usual for the signal and where it is worn out, or null. */
  update(times, values, faults, threshold = null, plan = null) {
    this.#faults = faults;
    this.#plan = plan;
    this.#threshold = threshold;
    this.#plot.setData([times, values]);
  }

  repaint() {
    this.#plot.redraw(false, true);
  }

  get cursor() {
    return this.#plot.cursor.idx ?? null;
  }

  #bands(plot) {
    const [times] = plot.data;
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.fillStyle = colour.fault_band;
    let from = null;
    for (let index = 0; index <= times.length; index += 1) {
      if (this.#faults[index] && from === null) from = index;
      if (this.#faults[index] || from === null) continue;
      // From halfway to the verdict before, to halfway to the one after: a single verdict is a band as well.
      const left = this.#between(plot, times, from - 1, from);
      const right = this.#between(plot, times, index - 1, index);
      ctx.fillRect(left, bbox.top, right - left, bbox.height);
      from = null;
    }
    ctx.restore();
  }

  /** The usual range as two thin lines, and where the signal is worn out as a dashed one, as far as they are in sight. */
  #usual(plot) {
    if (this.#plan === null) return;
    const { ctx, bbox } = plot;
    const line = (value, stroke, dash) => {
      const y = plot.valToPos(value, "y", true);
      if (y < bbox.top || y > bbox.top + bbox.height) return;
      ctx.strokeStyle = stroke;
      ctx.setLineDash(dash.map((each) => each * devicePixelRatio));
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
    };
    ctx.save();
    ctx.lineWidth = 1.25 * devicePixelRatio;
    for (const value of this.#plan.usual) line(value, colour.muted, [2, 3]);
    for (const value of this.#plan.worn) line(value, colour.fault_mark, [7, 5]);
    ctx.restore();
  }

  #between(plot, times, before, after) {
    const first = times[Math.max(before, 0)], second = times[Math.min(after, times.length - 1)];
    return plot.valToPos((first + second) / 2, "x", true);
  }

  #marks(plot) {
    const [times, values] = plot.data;
    const { ctx, bbox } = plot;
    ctx.save();
    if (this.#threshold !== null) {
      const y = plot.valToPos(this.#threshold, "y", true);
      ctx.strokeStyle = colour.ink;
      ctx.lineWidth = 1.25 * devicePixelRatio;
      ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
    }
    ctx.fillStyle = colour.fault_mark;
    const room = bbox.width / devicePixelRatio / Math.max(times.length, 1);
    const size = Math.min(3.4, Math.max(1.6, room * 0.6)) * devicePixelRatio; // many verdicts, small marks
    this.#faults.forEach((fault, index) => {
      if (!fault || values[index] === null || values[index] === undefined) return;
      triangle(ctx, plot.valToPos(times[index], "x", true), plot.valToPos(values[index], "y", true), size);
      ctx.fill();
    });
    ctx.restore();
  }
}
