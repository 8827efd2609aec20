// Asks the server twice a second what changed, and says so when it stops answering.

import { toLogin } from "./session.js";

const INTERVAL_MS = 500;
const HIDDEN_INTERVAL_MS = 2000;
const TIMEOUT_MS = 3000;
const LOST_AFTER_MS = 2000;

/**
 * Calls take(body, fresh) with each answer; fresh means that it holds everything there is, in place of what was told
 * before. take returns false when it finds something missing, and is then told everything.
 */
export class Feed {
  #url;
  #take;
  #link;
  #cursor = "";
  #epoch = null;
  #answered = performance.now();

  constructor(url, take, link) {
    this.#url = url;
    this.#take = take;
    this.#link = link;
  }

  start() {
    // A timer of its own: a request that hangs must not keep the page from admitting it.
    setInterval(() => {
      if (performance.now() - this.#answered > LOST_AFTER_MS) this.#link.lost(this.#answered);
    }, 500);
    document.addEventListener("visibilitychange", () => document.hidden || this.#ask().catch(reportError));
    this.#loop();
  }

  async #loop() {
    for (;;) {
      await this.#ask().catch(reportError); // an error of the page's own is shown, and does not end the asking
      await new Promise((resume) => setTimeout(resume, document.hidden ? HIDDEN_INTERVAL_MS : INTERVAL_MS));
    }
  }

  #asking = null;

  #ask() {
    this.#asking ??= this.#once().finally(() => (this.#asking = null));
    return this.#asking;
  }

  async #once() {
    let body;
    try {
      const answer = await fetch(`${this.#url}?after=${this.#cursor}`, {
        signal: AbortSignal.timeout(TIMEOUT_MS), cache: "no-store",
      });
      if (answer.status === 401) toLogin(); // the session has ended
      if (!answer.ok) return;
      body = await answer.json();
    } catch {
      return; // lost() tells when it lasts
    }
    this.#answered = performance.now();
    const fresh = this.#cursor === "" || body.epoch !== this.#epoch;
    this.#epoch = body.epoch;
    this.#cursor = `${body.epoch}.${body.cursor}`;
    this.#link.alive(body);
    if (this.#take(body, fresh) === false) this.#cursor = "";
  }
}
