/* Threshold: the slider, the number field and the line in the plot, which move one value; the counts below it. */

/** Thresholds that PageUp and PageDown pass over, in steps of the slider. */
const PAGE_STEPS = 50;

/** Reviewed pairs of a band from which on its precision is shown as a percentage. */
const ENOUGH_FOR_SHARE = 10;

/** Milliseconds of rest before the kernel hears of a new threshold: its list and its memory follow, the counts do not wait. */
const REST = 120;

class Explorer {
  constructor(page) {
    this.page = page;
    this.facts = page.facts;
    this.log = false;
    this.view = "stored";
    this.threshold = page.status.threshold;
    this.tell = debounce(() => page.sendThreshold(this.threshold), REST);
    this.build();
    this.move(this.threshold, false);
  }

  build() {
    const { facts } = this;
    this.slider = element("input", { type: "range", min: 0, max: facts.max_threshold, step: facts.step, "aria-label": "Threshold (RMS)", class: "dupkit-slider" });
    this.number = element("input", { type: "number", min: 0, max: facts.max_threshold, step: facts.step, "aria-label": "Threshold as a number", class: "dupkit-number" });
    this.counts = element("output", { role: "status", "aria-live": "polite", class: "dupkit-counts" });
    this.slider.addEventListener("input", () => this.move(this.fromPosition(Number(this.slider.value))));
    this.slider.addEventListener("keydown", (event) => this.step(event));
    this.slider.addEventListener("pointerup", () => this.page.focus());
    this.number.addEventListener("input", () => this.number.value !== "" && this.move(Number(this.number.value)));
    this.number.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === "Escape") this.page.focus();
    });
    this.number.addEventListener("blur", () => { this.number.value = this.threshold; });
    this.logSwitch = element("input", { type: "checkbox", on: { change: () => this.setLog(this.logSwitch.checked) } });
    this.show = choice("Distances shown in the plot", [["stored", `0 to ${countInWords(facts.max_threshold)}`], ["tail", "left tail"], ...(facts.has_all ? [["all", "all distances"]] : [])], (view) => {
      this.view = view;
      this.page.focus();
      this.draw();
    });
    this.folders = element("details", { class: "dupkit-folders", on: { toggle: () => this.askFolders() } }, element("summary", { text: "by folder" }), element("div", { class: "dupkit-scroll" }));
    this.laterFolders = debounce(() => this.askFolders(), 300);
    this.line = element("div", { class: "dupkit-line", "aria-hidden": "true" }, element("span", { class: "dupkit-line-value" }));
    this.bands = element("div", { class: "dupkit-bands" });
    this.picture = element("img", { class: "dupkit-plot-picture", alt: "Distribution of the distances of all pairs and of nearest neighbours, with logarithmic counts; below it the storage curve" });
    this.plot = element("div", { class: "dupkit-plot" }, this.picture, this.bands, this.line);
    this.plot.addEventListener("pointerdown", (event) => this.drag(event));
    this.node = element(
      "div",
      { class: "dupkit-explorer" },
      element(
        "div",
        { class: "dupkit-threshold-row" },
        element("span", { class: "dupkit-label", text: "Threshold (RMS)", "aria-hidden": "true" }),
        this.number,
        this.counts,
        element("span", { class: "dupkit-gap" }),
        element("label", { class: "dupkit-check" }, this.logSwitch, "log"),
        this.show,
      ),
      element("div", { class: "dupkit-slider-row" }, this.slider),
      this.plot,
      this.folders,
    );
    this.later = debounce(() => this.draw(), 150);
    this.sizes = new ResizeObserver(() => this.later());
    this.sizes.observe(this.plot);
    this.themes = new MutationObserver(() => this.later());
    this.themes.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name", "class"] });
  }

  fromPosition(position) {
    if (!this.log) return position;
    const { max_threshold: end } = this.facts;
    return Math.expm1((position / end) * Math.log1p(end));
  }

  toPosition(threshold) {
    if (!this.log) return threshold;
    const { max_threshold: end } = this.facts;
    return (Math.log1p(threshold) / Math.log1p(end)) * end;
  }

  /** Arrows move by one step, pages by fifty, whatever the slider's scale is. */
  step(event) {
    const { step, max_threshold: end } = this.facts;
    const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: PAGE_STEPS, PageDown: -PAGE_STEPS }[event.key];
    const goal = { Home: 0, End: end }[event.key] ?? (steps === undefined ? undefined : this.threshold + steps * step);
    if (goal === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    this.move(goal);
  }

  /** Set the threshold; everything that is looked up changes at once, the kernel hears of it after a rest. */
  move(threshold, tell = true) {
    if (!Number.isFinite(threshold)) return;
    const { step, max_threshold: end } = this.facts;
    const whole = tell ? Math.round(threshold / step) * step : threshold;
    this.threshold = Math.min(Math.max(Number(whole.toFixed(6)), 0), end);
    this.slider.value = this.toPosition(this.threshold);
    this.slider.setAttribute("aria-valuenow", this.threshold);
    this.slider.setAttribute("aria-valuetext", distanceInWords(this.threshold));
    if (document.activeElement !== this.number || Number(this.number.value) !== this.threshold) this.number.value = this.threshold;
    this.showCounts();
    this.placeLine();
    if (!tell) return;
    this.tell();
    if (this.folders.open) this.laterFolders();
  }

  showCounts() {
    const { step } = this.facts;
    const { lookups, status } = this.page;
    const place = Math.round(this.threshold / step);
    // Between two steps (a threshold set by code) only the kernel knows.
    const onStep = Math.abs(place * step - this.threshold) < 1e-6;
    const at = (name) => (onStep ? lookups[name][Math.min(place, lookups[name].length - 1)] : status.counts[name]);
    this.counts.textContent = `${countInWords(at("pairs"))} pairs · ${countInWords(at("groups"))} groups · ${countInWords(at("files"))} files · ${bytesInWords(at("bytes"))} below ${distanceInWords(this.threshold)}`;
  }

  setLog(log) {
    this.log = log;
    this.slider.value = this.toPosition(this.threshold);
    this.page.focus();
    this.draw();
  }

  /** Ask for the plot in the page's size and colours. */
  async draw() {
    const width = Math.floor(this.plot.clientWidth);
    if (width < 50 || !this.plot.isConnected) return;
    this.drawing = (this.drawing || 0) + 1;
    const mine = this.drawing;
    const wanted = { view: this.view, log: this.log, threshold: this.threshold, width, scale: Math.min(window.devicePixelRatio || 1, 2), palette: this.page.palette() };
    try {
      const axis = await this.page.channel.ask("plot", wanted);
      if (mine !== this.drawing) return;
      const url = URL.createObjectURL(new Blob([axis.buffers[0]], { type: "image/png" }));
      this.picture.onload = () => URL.revokeObjectURL(url);
      this.picture.src = url;
      this.picture.style.width = `${axis.width}px`;
      this.picture.style.height = `${axis.height}px`;
      this.axis = axis;
      this.plot.dataset.drawn = `${this.view}${this.log ? " log" : ""}`;
      this.placeLine();
      this.placeBands();
    } catch (problem) {
      this.page.say(problem.message, true);
    }
  }

  /** Return where a distance lies in the plot, CSS pixels from its left. */
  toPixel(rms) {
    const { axis } = this;
    const share = axis.log ? Math.log1p(rms) / Math.log1p(axis.x_max) : rms / axis.x_max;
    return axis.left + share * (axis.right - axis.left);
  }

  toDistance(pixel) {
    const { axis } = this;
    const share = (pixel - axis.left) / (axis.right - axis.left);
    return axis.log ? Math.expm1(share * Math.log1p(axis.x_max)) : share * axis.x_max;
  }

  placeLine() {
    if (!this.axis) return;
    const x = this.toPixel(this.threshold);
    this.line.style.transform = `translateX(${x}px)`;
    this.line.style.top = `${this.axis.top}px`;
    this.line.style.height = `${this.axis.bottom - this.axis.top}px`;
    this.line.hidden = x > this.axis.right + 1;
    this.line.firstChild.textContent = distanceInWords(this.threshold);
    this.line.classList.toggle("dupkit-line-left", x > this.axis.right - 60);
  }

  drag(event) {
    if (!this.axis || event.button !== 0) return;
    event.preventDefault();
    const left = this.plot.getBoundingClientRect().left;
    const follow = (moved) => this.move(this.toDistance(moved.clientX - left));
    const release = () => {
      this.plot.removeEventListener("pointermove", follow);
      this.page.focus();
    };
    this.plot.setPointerCapture(event.pointerId);
    this.plot.addEventListener("pointermove", follow);
    this.plot.addEventListener("lostpointercapture", release, { once: true });
    follow(event);
  }

  /** Show the precision of each band of distances, estimated from the decisions, above the bars. */
  setBands(bands) {
    this.known = bands;
    this.placeBands();
  }

  placeBands() {
    this.bands.replaceChildren();
    if (!this.axis || !this.known) return;
    for (const band of this.known) {
      const left = this.toPixel(band.left);
      const right = Math.min(this.toPixel(band.right), this.axis.right);
      if (!band.n || right - left < 2) continue;
      // A share of two or three says more as a count.
      const precision = band.n < ENOUGH_FOR_SHARE ? `${countInWords(band.n_approved)} of ${countInWords(band.n)}` : `${Math.round(100 * band.precision)} %`;
      const words = `RMS ${distanceInWords(band.left)} to ${distanceInWords(band.right)}: ${countInWords(band.n_approved)} of ${countInWords(band.n)} reviewed pairs approved (95 %: ${Math.round(100 * band.low)} to ${Math.round(100 * band.high)} %)`;
      const strip = element("div", { class: "dupkit-band", title: words, text: right - left > 34 ? precision : "" });
      strip.style.left = `${left}px`;
      strip.style.width = `${right - left - 1}px`;
      strip.style.setProperty("--precision", band.precision);
      this.bands.append(strip);
    }
  }

  async askFolders() {
    if (!this.folders.open) return;
    const { folders } = await this.page.channel.ask("folders", { threshold: this.threshold }).catch((problem) => ({ folders: [["", problem.message, 0, 0]] }));
    const rows = folders.map(([folder, n_files, n_bytes]) => element("tr", {}, element("td", { text: folder }), element("td", { text: `${countInWords(n_files)} files` }), element("td", { text: bytesInWords(n_bytes) })));
    this.folders.lastChild.replaceChildren(element("table", { class: "dupkit-table" }, element("tbody", {}, ...rows)));
  }

  close() {
    this.sizes.disconnect();
    this.themes.disconnect();
  }
}
