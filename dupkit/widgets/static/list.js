/* The list: only the rows in sight exist, whatever their number; rows come from the kernel by range. */

/** Height of a row of pairs and of groups, CSS pixels. */
const PAIR_HEIGHT = 56;
const GROUP_HEIGHT = 72;

/** Tallest element that every browser scrolls exactly; more rows than fit share it and the wheel moves by rows. */
const TALLEST = 8_000_000;

/** Rows asked for at once. */
const CHUNK = 40;

/** Milliseconds after a decision before the list's rows are asked for again. */
const DECIDED_AFTER = 150;

class PairList {
  constructor(page) {
    this.page = page;
    this.rows = new Map();
    this.asked = new Set();
    this.nodes = new Map();
    this.edition = 0;
    this.first = 0;
    this.n_rows = 0;
    this.height = PAIR_HEIGHT;
    this.filters = new Filters(page);
    this.space = element("div", { class: "dupkit-list-space" });
    this.window = element("div", { class: "dupkit-list-window" });
    this.scroller = element("div", { class: "dupkit-list", role: "listbox", "aria-label": "Pairs", tabindex: 0 }, this.space, this.window);
    this.scroller.addEventListener("scroll", () => this.scrolled());
    this.scroller.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.scroller.addEventListener("keydown", (event) => this.press(event));
    // A click has a row of its own: it must not find the rows replaced below it.
    this.scroller.addEventListener("focus", () => this.scroller.matches(":focus-visible") && this.moveCursor(Math.max(this.place, 0)));
    this.scroller.addEventListener("blur", () => this.cursor >= 0 && this.moveCursor(-1));
    this.cursor = -1;
    this.summary = element("span", { class: "dupkit-muted dupkit-list-summary" });
    this.missing = element("span", { class: "dupkit-muted dupkit-missing", role: "status" });
    page.pictures.failed = (n, problem) => { this.missing.textContent = n ? `${countInWords(n)} thumbnail${n === 1 ? "" : "s"} cannot be made: ${problem}` : ""; };
    this.node = element("div", { class: "dupkit-list-column" }, this.filters.node, this.scroller, this.summary, this.missing);
    // Whoever decides ten pairs a second sees the tags in the list a moment later.
    this.refreshRows = debounce(() => {
      this.forgetRows();
      this.draw();
    }, DECIDED_AFTER);
    this.sizes = new ResizeObserver(() => this.draw());
    this.sizes.observe(this.scroller);
  }

  /** Take a new status: rows are asked for again when anything in them may have changed. */
  update(status) {
    this.filters.update(status);
    const grouped = Boolean(status.grouping);
    const place = grouped ? status.group : status.place;
    const edition = `${status.list_revision} ${status.threshold} ${status.order} ${JSON.stringify(status.filters)} ${status.n_visible} ${status.grouping}`;
    const fresh = edition !== this.said;
    const decided = status.revision !== this.revision;
    const moved = place !== this.place;
    [this.said, this.revision, this.place] = [edition, status.revision, place];
    if (fresh) {
      if (grouped !== this.grouped) this.rows = new Map();
      this.grouped = grouped;
      this.height = grouped ? GROUP_HEIGHT : PAIR_HEIGHT;
      this.scroller.setAttribute("aria-label", grouped ? "Groups" : "Pairs");
      this.forgetRows();
      this.n_rows = grouped ? status.n_groups : status.n_visible;
      this.space.style.height = `${Math.min(this.n_rows * this.height, TALLEST)}px`;
      this.summary.textContent = this.inWords(status);
    } else if (decided) {
      this.refreshRows();
    }
    if (this.cursor >= 0 && (moved || fresh)) this.cursor = this.place;
    if (fresh || moved) this.reveal(this.place);
    this.draw();
  }

  /** Return what stands in the list's own place where it is empty. */
  emptyWords() {
    const words = this.grouped ? "No group passes these filters below this threshold." : "No pair passes these filters below this threshold.";
    return element("div", { class: "dupkit-list-empty", text: words });
  }

  inWords({ n_visible: n_pairs, n_groups, n_chains, grouping }) {
    const pairs = n_pairs === 1 ? "1 pair" : `${countInWords(n_pairs)} pairs`;
    if (!grouping) return `${pairs} in the list`;
    const chains = n_chains ? `, ${n_chains === 1 ? "1 chain" : `${countInWords(n_chains)} chains`}` : "";
    return `${n_groups === 1 ? "1 group" : `${countInWords(n_groups)} groups`} in the list${chains} (${pairs})`;
  }

  /** Keys while the list has the focus: up and down choose a row, Enter opens it; all others are the page's. */
  press(event) {
    const page = Math.max(1, this.rowsInSight() - 2);
    const goal = { ArrowDown: this.cursor + 1, ArrowUp: this.cursor - 1, PageDown: this.cursor + page, PageUp: this.cursor - page, Home: 0, End: this.n_rows - 1 }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey || (goal === undefined && event.key !== "Enter")) return;
    event.preventDefault();
    event.stopPropagation();
    if (goal !== undefined) this.moveCursor(Math.min(Math.max(goal, 0), this.n_rows - 1));
    else this.open(this.rows.get(this.cursor), false);
  }

  moveCursor(place) {
    this.cursor = place;
    if (place >= 0) this.reveal(place);
    this.draw();
    const row = place >= 0 ? this.window.children[place - this.first] : null;
    if (row) this.scroller.setAttribute("aria-activedescendant", row.id);
    else this.scroller.removeAttribute("aria-activedescendant");
  }

  /** Show a row's pair, or its group. */
  open(row, focus = true) {
    if (!row) return;
    if (focus) this.page.focus();
    this.page.ask("go", row.group === undefined ? { where: "position", position: row.position } : { where: "group", group: row.group });
  }

  /** Ask for rows anew; what was there stands until they come. */
  forgetRows() {
    this.edition += 1;
    this.stale = this.rows;
    this.rows = new Map();
    this.asked.clear();
  }

  rowsInSight() {
    return Math.ceil(this.scroller.clientHeight / this.height) + 1;
  }

  lastFirst() {
    return Math.max(0, this.n_rows - Math.floor(this.scroller.clientHeight / this.height));
  }

  squeezed() {
    return this.n_rows * this.height > TALLEST;
  }

  scrolled() {
    const range = this.scroller.scrollHeight - this.scroller.clientHeight;
    if (this.squeezed()) {
      if (Math.abs(this.scroller.scrollTop - this.setTop) < 1) return this.draw();
      this.first = range > 0 ? Math.round((this.scroller.scrollTop / range) * this.lastFirst()) : 0;
    } else {
      this.first = Math.floor(this.scroller.scrollTop / this.height);
    }
    return this.draw();
  }

  wheel(event) {
    if (!this.squeezed()) return;
    event.preventDefault();
    this.goTo(this.first + Math.sign(event.deltaY) * Math.max(1, Math.round(Math.abs(event.deltaY) / this.height)));
  }

  /** Scroll so that `first` is the first row in sight. */
  goTo(first) {
    this.first = Math.min(Math.max(first, 0), this.lastFirst());
    const range = this.scroller.scrollHeight - this.scroller.clientHeight;
    this.setTop = this.squeezed() ? Math.round((this.first / Math.max(1, this.lastFirst())) * range) : this.first * this.height;
    this.scroller.scrollTop = this.setTop;
    this.draw();
  }

  /** Scroll only as far as a row needs to be in sight. */
  reveal(place) {
    if (place < 0 || !this.scroller.clientHeight) return;
    const n_whole = Math.floor(this.scroller.clientHeight / this.height);
    if (place < this.first) this.goTo(place - 1);
    else if (place >= this.first + n_whole) this.goTo(place - n_whole + 2);
    else if (this.first > this.lastFirst()) this.goTo(this.lastFirst());
  }

  draw() {
    const end = Math.min(this.first + this.rowsInSight(), this.n_rows);
    this.askRows(this.first, end);
    const shown = [];
    for (let place = this.first; place < end; place += 1) {
      const row = this.rows.get(place) ?? this.stale?.get(place);
      shown.push(this.rowNode(place, row));
    }
    this.window.style.transform = `translateY(${this.squeezed() ? this.scroller.scrollTop : this.first * this.height}px)`;
    if (!this.n_rows) shown.push(this.emptyWords());
    const standing = this.window.children;
    if (shown.length !== standing.length || shown.some((node, i) => node !== standing[i])) this.window.replaceChildren(...shown);
    for (const place of this.nodes.keys()) if (place < this.first - CHUNK || place > end + CHUNK) this.nodes.delete(place);
  }

  /** Return the element of a row; the one that stands there where nothing in it has changed, so that no picture flickers. */
  rowNode(place, row) {
    const signature = `${place === this.place} ${place === this.cursor} ${this.grouped} ${JSON.stringify(row)}`;
    const known = this.nodes.get(place);
    if (known && known.signature === signature) return known.node;
    const node = this.newRowNode(place, row);
    this.nodes.set(place, { signature, node });
    return node;
  }

  newRowNode(place, row) {
    const state = { role: "option", id: `${this.page.name}-row-${place}`, "aria-selected": String(place === this.place), "aria-setsize": this.n_rows, "aria-posinset": place + 1 };
    const kind = `dupkit-row${this.grouped ? " dupkit-group-row" : ""}${place === this.cursor ? " dupkit-cursor" : ""}`;
    if (!row) return element("div", { class: kind, ...state }, ...waitingRow(2));
    const inside = this.grouped ? groupRow(row, this.page.pictures) : pairRow(row, this.page.pictures);
    return element("div", { class: kind, ...state, title: rowTitle(row), on: { click: () => this.open(row) } }, ...inside);
  }

  askRows(from, to) {
    for (let chunk = Math.floor(from / CHUNK); chunk * CHUNK < to; chunk += 1) {
      if (this.asked.has(chunk)) continue;
      this.asked.add(chunk);
      const { edition } = this;
      this.page.channel.ask(this.grouped ? "groups" : "rows", { start: chunk * CHUNK, stop: (chunk + 1) * CHUNK }).then(
        ({ rows }) => {
          if (edition !== this.edition) return;
          rows.forEach((row, i) => this.rows.set(chunk * CHUNK + i, row));
          this.draw();
        },
        (problem) => this.page.say(problem.message, true),
      );
    }
  }

  close() {
    this.sizes.disconnect();
  }
}
