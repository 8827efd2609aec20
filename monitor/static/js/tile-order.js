// Keeps the tiles in order of urgency without moving one from under a pointer, and without losing the focus.

import { byUrgency } from "./states.js";

const SETTLE_MS = 300;
const POINTER_REST_MS = 2500;
const MOVE_MS = 260;
const AIM_MS = 300; // about what a person takes to see a change and stop a movement
const still = matchMedia("(prefers-reduced-motion: reduce)");

export class TileOrder {
  #list;
  #tiles;
  #timer = null;
  #pointer = -Infinity;
  #moved = -Infinity;

  constructor(list, tiles) {
    this.#list = list;
    this.#tiles = tiles;
    const touched = () => (this.#pointer = performance.now());
    list.addEventListener("pointermove", touched, { passive: true });
    list.addEventListener("pointerdown", touched, { passive: true });
    list.addEventListener("pointerleave", () => (this.#pointer = -Infinity), { passive: true });
    list.addEventListener("click", (event) => this.#missed(event), { capture: true });
  }

  /** Sorts soon: once for many changes, and when a pointer over the tiles has come to rest. */
  request() {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      if (performance.now() - this.#pointer < POINTER_REST_MS) this.request();
      else this.apply();
    }, SETTLE_MS);
  }

  apply() {
    const wanted = [...this.#tiles.values()].sort(byUrgency).map((tile) => tile.root);
    const present = [...this.#list.children];
    if (wanted.length === present.length && wanted.every((root, index) => root === present[index])) return;
    const before = this.#places();
    const focused = document.activeElement;
    this.#moved = performance.now();
    wanted.forEach((root, index) => {
      const there = this.#list.children[index];
      if (there !== root) this.#list.insertBefore(root, there ?? null);
    });
    if (focused !== document.activeElement && this.#list.contains(focused)) focused.focus({ preventScroll: true });
    this.#glide(before);
  }

  /** A finger that was on its way when the tiles moved meant what stood there before; a key (detail 0) has no way. */
  #missed(event) {
    if (event.detail === 0 || performance.now() - this.#moved > AIM_MS) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Where the tiles in sight are. */
  #places() {
    const places = new Map();
    if (still.matches) return places;
    for (const tile of this.#tiles.values()) {
      if (tile.visible && tile.root.isConnected) places.set(tile.root, tile.root.getBoundingClientRect());
    }
    return places;
  }

  #glide(before) {
    for (const [root, from] of before) {
      const to = root.getBoundingClientRect();
      const x = from.left - to.left, y = from.top - to.top;
      if (x || y) {
        root.animate([{ transform: `translate(${x}px, ${y}px)` }, { transform: "none" }],
          { duration: MOVE_MS, easing: "cubic-bezier(0.2, 0, 0, 1)" });
      }
    }
  }
}
