/* Questions to the kernel and its answers: custom messages with ids, one answer each. */

/** Milliseconds without an answer after which the page says that the kernel is silent. */
const SILENCE = 6000;

class Channel {
  constructor(model) {
    this.model = model;
    // Two views of one widget see each other's messages: ids carry a prefix of the view.
    this.prefix = Math.random().toString(36).slice(2);
    this.n_asked = 0;
    this.waiting = new Map();
    this.heard = () => {};
    this.silent = () => {};
    this.receive = (message, buffers) => this.take(message, buffers || []);
    model.on("msg:custom", this.receive);
    this.watch = setInterval(() => this.checkSilence(), 1000);
  }

  /** Return a promise of the kernel's answer; `answer.buffers` holds its binary parts. Rejects with the problem's line. */
  ask(question, details = {}, buffers = []) {
    this.n_asked += 1;
    const id = `${this.prefix}-${this.n_asked}`;
    return new Promise((resolve, reject) => {
      const patient = details.patient === true;
      this.waiting.set(id, { resolve, reject, patient, since: performance.now() });
      const { patient: _, ...sent } = details;
      this.model.send({ id, ask: question, ...sent }, undefined, buffers);
    });
  }

  take(message, buffers) {
    if (message.push) {
      this.heard(message);
      return;
    }
    const asked = this.waiting.get(message.id);
    if (!asked) {
      // Another view of this widget asked: what it changed shows here too.
      if (message.ok && message.answer.status && message.answer.pair !== undefined) this.heard({ push: "status", ...message.answer });
      return;
    }
    this.waiting.delete(message.id);
    this.silent(false);
    if (message.ok) asked.resolve({ ...message.answer, buffers });
    else asked.reject(new Error(message.problem));
  }

  checkSilence() {
    const now = performance.now();
    const late = [...this.waiting.values()].some((asked) => !asked.patient && now - asked.since > SILENCE);
    if (late) this.silent(true);
  }

  close() {
    clearInterval(this.watch);
    this.model.off("msg:custom", this.receive);
  }
}
