// Asks the proxy for its state, over and over, and knows since when it has not answered.

const EVERY_MS = 1000; // from one answer to the next question
const HIDDEN_EVERY_MS = 10_000; // while nobody looks at the page
const ANSWER_MS = 3000; // to wait for one answer
export const LOST_AFTER_MS = 2500; // without an answer: longer than a hot restart takes

/** Calls `answered(document)` for each answer; `silentMs` says how long there was none. */
export class Connection {
  constructor(address, answered) {
    this.address = address;
    this.answered = answered;
    this.unansweredSince = null; // when the first question since the last answer was asked
    this.paused = false;
    this.timer = 0;
    this.asking = false;
  }

  /** How long there has been no answer, in milliseconds; nothing while it is paused. */
  get silentMs() {
    return this.paused || this.unansweredSince === null ? 0 : performance.now() - this.unansweredSince;
  }

  get lost() {
    return this.silentMs > LOST_AFTER_MS;
  }

  start() {
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && !this.paused) this.again(0);
    });
    this.ask();
  }

  /** Ask no more until `resume`. */
  pause() {
    this.paused = true;
    clearTimeout(this.timer);
  }

  resume() {
    this.paused = false;
    this.unansweredSince = null;
    this.again(0);
  }

  async ask() {
    if (this.asking || this.paused) return;
    this.asking = true;
    this.unansweredSince ??= performance.now();
    try {
      const answer = await fetch(this.address, { cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const found = await answer.json();
      if (!this.paused && this.answered(found)) this.unansweredSince = null;
    } catch {
      // Whatever it is, it is asked again; the page says since when there was no answer.
    } finally {
      this.asking = false;
      if (!this.paused) this.again(document.hidden ? HIDDEN_EVERY_MS : EVERY_MS);
    }
  }

  again(inMs) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), inMs);
  }
}
