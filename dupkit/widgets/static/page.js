/* The page: one focusable element that holds everything, keeps the kernel's status and sends what people do. */

class Page {
  constructor(model, root) {
    this.model = model;
    this.channel = new Channel(model);
    this.pictures = new Pictures(this.channel);
    this.deciding = [];
    this.pictures.held = () => this.deciding.length > 1;
    // Two views of one widget stand in one document: ids must differ.
    this.name = `dupkit-${this.channel.prefix}`;
    this.node = element("section", { class: "dupkit-review", role: "region", "aria-label": "Review of duplicate photos", tabindex: 0, "data-lm-suppress-shortcuts": "true" });
    this.message = element("div", { class: "dupkit-message", role: "alert" });
    this.node.append(element("p", { class: "dupkit-empty", text: "Loading …" }));
    root.append(this.node);
    this.channel.heard = (message) => this.hear(message);
    this.channel.silent = (silent) => this.hearSilence(silent);
  }

  async open() {
    try {
      const hello = await this.channel.ask("hello");
      this.facts = hello.facts;
      this.status = hello.status;
      this.lookups = this.readLookups(hello.buffers);
      this.build();
      this.ready = true;
      this.take(hello);
      this.explorer.draw();
      requestAnimationFrame(() => performance.mark("dupkit-shown"));
    } catch (problem) {
      this.node.replaceChildren(element("p", { class: "dupkit-problem", text: problem.message }));
    }
  }

  /** Take what the kernel says unasked: another window or a cell changed something, or files are moving. */
  hear(message) {
    if (!this.ready) return;
    if (message.push === "status") this.take(message);
    else this.say(message.words);
  }

  readLookups(buffers) {
    const names = ["pairs", "groups", "files", "bytes"];
    return Object.fromEntries(names.map((name, i) => {
      const view = buffers[i];
      return [name, new Float64Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength))];
    }));
  }

  build() {
    this.explorer = new Explorer(this);
    this.list = new PairList(this);
    this.viewer = new Viewer(this);
    this.calibration = new Calibration(this);
    this.mover = new Mover(this);
    this.rules = new Rules(this);
    this.keys = new Keys(this);
    this.unreadable = element("details", { class: "dupkit-unreadable", on: { toggle: () => this.askUnreadable() } }, element("summary", { text: "why?" }), element("div", { class: "dupkit-scroll" }));
    const head = element("header", { class: "dupkit-head" }, ...this.facts.words.map((words) => element("span", { text: words })), this.facts.n_unreadable ? this.unreadable : null, element("span", { class: "dupkit-gap" }), this.keys.where);
    this.node.replaceChildren(
      head,
      this.explorer.node,
      element("div", { class: "dupkit-main" }, this.list.node, element("div", { class: "dupkit-viewer-column" }, this.viewer.node)),
      element("footer", { class: "dupkit-foot" }, this.calibration.node, this.mover.node),
      this.mover.panel,
      this.rules.node,
      this.keys.help,
    );
    this.changed = () => this.takeThreshold(this.model.get("threshold"));
    this.model.on("change:threshold", this.changed);
  }

  /** Bring the focus back to the page, so that its keys work and JupyterLab's do not. */
  focus() {
    this.node.focus({ preventScroll: true });
  }

  /** Say one line; a problem stays until the next one. */
  say(words, problem = false) {
    this.message.textContent = words ?? "";
    this.message.classList.toggle("dupkit-problem", problem);
  }

  hearSilence(silent) {
    if (silent === this.isSilent) return;
    this.isSilent = silent;
    if (silent) this.say("The kernel does not answer. Every decision shown is stored; when the kernel is back, run the cells again to go on here.", true);
    else this.say("");
  }

  /** Take an answer that carries a status and perhaps the current pair. */
  take(answer) {
    const { status } = answer;
    if (status.serial !== undefined && status.serial < (this.status.serial ?? 0)) return;
    this.status = status;
    if (answer.lookups_changed) this.askLookups();
    if (answer.pair !== undefined) this.viewer.show(answer.pair, answer.upcoming ?? []);
    this.list.update(status);
    this.rules.update(status.keeper_rules);
    this.explorer.showCounts();
    const decided = `${status.revision} ${status.threshold}`;
    if (decided !== this.calibrated) this.calibration.later();
    this.calibrated = decided;
    this.node.dataset.revision = status.revision;
    this.node.dataset.pair = answer.pair === undefined ? this.node.dataset.pair : String(answer.pair?.position ?? -1);
  }

  async askLookups() {
    const answer = await this.channel.ask("lookups");
    this.lookups = this.readLookups(answer.buffers);
    this.explorer.showCounts();
    this.explorer.draw();
  }

  /** Ask a question whose answer is a status; its problem becomes the page's line. */
  async ask(question, details = {}) {
    try {
      const answer = await this.channel.ask(question, details);
      if (answer.words !== undefined) this.say(answer.words);
      if (answer.status) this.take(answer);
      return answer;
    } catch (problem) {
      this.say(problem.message, true);
      return null;
    }
  }

  /** Decide about the pair on the screen. Keys that come before the answer wait: each decides the pair that it saw next. */
  decide(act) {
    this.focus();
    this.deciding.push(act);
    if (this.deciding.length === 1) this.work();
  }

  async work() {
    while (this.deciding.length) {
      const [act] = this.deciding;
      const position = this.viewer.pair ? this.viewer.pair.position : -1;
      await this.ask("act", { act, position });
      this.deciding.shift();
      this.pictures.work();
    }
  }

  go(where, details = {}) {
    this.focus();
    return this.ask("go", { where, ...details });
  }

  show(change, focus = true) {
    if (focus) this.focus();
    return this.ask("show", change);
  }

  setKeeper(image) {
    this.focus();
    if (this.viewer.pair) this.ask("keeper", { position: this.viewer.pair.position, image });
  }

  reviewNext() {
    this.focus();
    return this.ask("review_next");
  }

  sendThreshold(threshold) {
    this.model.set("threshold", threshold);
    this.model.save_changes();
  }

  takeThreshold(threshold) {
    if (Math.abs(threshold - this.explorer.threshold) > 1e-9) this.explorer.move(threshold, false);
  }

  async askUnreadable() {
    if (!this.unreadable.open) return;
    const { rows, words } = await this.channel.ask("unreadable").catch((problem) => ({ rows: [], words: problem.message }));
    this.unreadable.lastChild.replaceChildren(element("table", { class: "dupkit-table" }, element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map((cell) => element("td", { text: cell })))))), element("p", { class: "dupkit-muted", text: words }));
  }

  /** Return the theme's colours as matplotlib reads them. */
  palette() {
    const probe = element("span", {});
    this.node.append(probe);
    const colour = (name) => {
      probe.style.color = `var(--dupkit-${name})`;
      return getComputedStyle(probe).color;
    };
    const found = Object.fromEntries(["text", "muted", "grid", "bars", "accent"].map((name) => [name, colour(name)]));
    probe.remove();
    return found;
  }

  close() {
    this.explorer?.close();
    this.list?.close();
    this.viewer?.close();
    this.pictures.clear();
    if (this.changed) this.model.off("change:threshold", this.changed);
    this.channel.close();
  }
}

function render({ model, el }) {
  performance.mark("dupkit-render");
  const page = new Page(model, el);
  page.open();
  return () => page.close();
}

export default { render };
