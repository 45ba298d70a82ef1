/* The list of pairs: only the rows in sight exist, whatever their number; rows come from the kernel by range. */

/** Height of a row, CSS pixels; review.css says the same. */
const ROW_HEIGHT = 56;

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
    this.space = element("div", { class: "dupkit-list-space" });
    this.window = element("div", { class: "dupkit-list-window" });
    this.scroller = element("div", { class: "dupkit-list", role: "listbox", "aria-label": "Pairs" }, this.space, this.window);
    this.scroller.addEventListener("scroll", () => this.scrolled());
    this.scroller.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.order = choice("Sort pairs by", page.facts.orders, (order) => page.show({ order }));
    this.shown = choice("Pairs to show", page.facts.shown, (show) => page.show({ filters: { show } }));
    this.decision = choice("Show pairs by decision", page.facts.decision_filters, (decision) => page.show({ filters: { decision } }));
    this.verdict = choice("Show pairs by verdict", page.facts.verdict_filters, (verdict) => page.show({ filters: { verdict } }));
    this.folder = element("input", { type: "search", placeholder: "folder", "aria-label": "Show pairs in folder", class: "dupkit-search" });
    this.folder.addEventListener("input", debounce(() => page.show({ filters: { folder: this.folder.value } }, false), 250));
    this.folder.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === "Escape") page.focus();
    });
    this.summary = element("span", { class: "dupkit-muted" });
    this.node = element("div", { class: "dupkit-list-column" }, element("div", { class: "dupkit-filters" }, this.shown, this.order, this.decision, this.verdict, this.folder), this.scroller, this.summary);
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
    for (const [select, value] of [[this.order, status.order], [this.shown, status.filters.show], [this.decision, status.filters.decision], [this.verdict, status.filters.verdict]]) select.value = value ?? "";
    if (document.activeElement !== this.folder) this.folder.value = status.filters.folder ?? "";
    const edition = `${status.list_revision} ${status.threshold} ${status.order} ${JSON.stringify(status.filters)} ${status.n_visible}`;
    const fresh = edition !== this.said;
    const decided = status.revision !== this.revision;
    const moved = status.place !== this.place;
    [this.said, this.revision, this.place] = [edition, status.revision, status.place];
    if (fresh) {
      this.forgetRows();
      this.n_rows = status.n_visible;
      this.space.style.height = `${Math.min(this.n_rows * ROW_HEIGHT, TALLEST)}px`;
      this.summary.textContent = status.n_visible === 1 ? "1 pair in the list" : `${countInWords(status.n_visible)} pairs in the list`;
    } else if (decided) {
      this.refreshRows();
    }
    if (fresh || moved) this.reveal();
    this.draw();
  }

  /** Ask for rows anew; what was there stands until they come. */
  forgetRows() {
    this.edition += 1;
    this.stale = this.rows;
    this.rows = new Map();
    this.asked.clear();
  }

  rowsInSight() {
    return Math.ceil(this.scroller.clientHeight / ROW_HEIGHT) + 1;
  }

  lastFirst() {
    return Math.max(0, this.n_rows - Math.floor(this.scroller.clientHeight / ROW_HEIGHT));
  }

  squeezed() {
    return this.n_rows * ROW_HEIGHT > TALLEST;
  }

  scrolled() {
    const range = this.scroller.scrollHeight - this.scroller.clientHeight;
    if (this.squeezed()) {
      if (Math.abs(this.scroller.scrollTop - this.setTop) < 1) return this.draw();
      this.first = range > 0 ? Math.round((this.scroller.scrollTop / range) * this.lastFirst()) : 0;
    } else {
      this.first = Math.floor(this.scroller.scrollTop / ROW_HEIGHT);
    }
    return this.draw();
  }

  wheel(event) {
    if (!this.squeezed()) return;
    event.preventDefault();
    this.goTo(this.first + Math.sign(event.deltaY) * Math.max(1, Math.round(Math.abs(event.deltaY) / ROW_HEIGHT)));
  }

  /** Scroll so that `first` is the first row in sight. */
  goTo(first) {
    this.first = Math.min(Math.max(first, 0), this.lastFirst());
    const range = this.scroller.scrollHeight - this.scroller.clientHeight;
    this.setTop = this.squeezed() ? Math.round((this.first / Math.max(1, this.lastFirst())) * range) : this.first * ROW_HEIGHT;
    this.scroller.scrollTop = this.setTop;
    this.draw();
  }

  /** Scroll only as far as the current pair needs to be in sight. */
  reveal() {
    if (this.place < 0 || !this.scroller.clientHeight) return;
    const n_whole = Math.floor(this.scroller.clientHeight / ROW_HEIGHT);
    if (this.place < this.first) this.goTo(this.place - 1);
    else if (this.place >= this.first + n_whole) this.goTo(this.place - n_whole + 2);
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
    this.window.style.transform = `translateY(${this.squeezed() ? this.scroller.scrollTop : this.first * ROW_HEIGHT}px)`;
    this.window.replaceChildren(...shown);
    for (const place of this.nodes.keys()) if (place < this.first - CHUNK || place > end + CHUNK) this.nodes.delete(place);
  }

  /** Return the element of a row; the one that stands there where nothing in it has changed, so that no picture flickers. */
  rowNode(place, row) {
    const signature = `${place === this.place} ${JSON.stringify(row)}`;
    const known = this.nodes.get(place);
    if (known && known.signature === signature) return known.node;
    const node = this.newRowNode(place, row);
    this.nodes.set(place, { signature, node });
    return node;
  }

  newRowNode(place, row) {
    const chosen = place === this.place;
    if (!row) return element("div", { class: "dupkit-row", role: "option", "aria-selected": String(chosen), text: "…" });
    const decision = row.decision ? element("span", { class: `dupkit-tag dupkit-${row.decision}`, text: row.decision }) : null;
    return element(
      "div",
      { class: "dupkit-row", role: "option", "aria-selected": String(chosen), "aria-setsize": this.n_rows, "aria-posinset": place + 1, title: `${row.path_a}\n${row.path_b}`, on: { click: () => this.page.go("position", { position: row.position }) } },
      this.thumbnail(row.image_a),
      this.thumbnail(row.image_b),
      element("span", { class: "dupkit-row-words" }, element("span", { class: "dupkit-row-name" }, element("strong", { text: distanceInWords(row.rms) }), ` ${row.verdict}`), element("span", { class: "dupkit-row-more" }, row.proposed ? element("span", { class: "dupkit-tag", text: "by structure" }) : null, decision, element("span", { class: "dupkit-row-file", text: row.name }))),
    );
  }

  thumbnail(image) {
    const entry = this.page.pictures.want(image, SMALL_SIDE, 3);
    const frame = element("span", { class: "dupkit-thumb" });
    const put = () => frame.replaceChildren(entry.image.cloneNode());
    if (entry.image) put();
    else entry.ready.then(put, () => { frame.textContent = "?"; });
    return frame;
  }

  askRows(from, to) {
    for (let chunk = Math.floor(from / CHUNK); chunk * CHUNK < to; chunk += 1) {
      if (this.asked.has(chunk)) continue;
      this.asked.add(chunk);
      const { edition } = this;
      this.page.channel.ask("rows", { start: chunk * CHUNK, stop: (chunk + 1) * CHUNK }).then(
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
