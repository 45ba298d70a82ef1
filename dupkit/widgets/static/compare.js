/* Two pictures on a stage: side by side, blinking, split, their difference; zoom and pan are locked together. */

const LAYOUTS = [["side", "Side by side"], ["blink", "Blink"], ["split", "Split"], ["difference", "Difference"]];

/** Milliseconds that each picture stands while they blink by themselves. */
const BLINK = 450;

/** Milliseconds on one pair before it is asked how B lies on A: whoever runs through the list needs the next pair first. */
const OVERLAY_AFTER = 90;

/** Side of the canvas on which the difference is computed, pixels. */
const DIFFERENCE_SIDE = 900;

class Compare {
  constructor(page, viewer) {
    this.page = page;
    this.viewer = viewer;
    this.layout = "side";
    this.zoom = 1;
    this.centre = [0.5, 0.5];
    this.paneA = element("div", { class: "dupkit-pane dupkit-pane-a" });
    this.paneB = element("div", { class: "dupkit-pane dupkit-pane-b" });
    this.canvas = element("canvas", { class: "dupkit-difference", "aria-label": "Difference of the two pictures" });
    this.caption = element("div", { class: "dupkit-caption" });
    this.splitter = element("input", { type: "range", min: 0, max: 100, value: 50, "aria-label": "Split position", class: "dupkit-splitter", on: { input: () => this.place() } });
    this.splitter.addEventListener("pointerup", () => page.focus());
    this.overlays = new Overlays(page);
    this.overlay = null;
    this.stage = element("div", { class: "dupkit-stage" }, this.paneA, this.paneB, this.canvas, this.splitter, this.caption);
    this.stage.addEventListener("pointerdown", (event) => this.drag(event));
    this.stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.stage.addEventListener("dblclick", () => this.toggleReal());
    this.buttons = LAYOUTS.map(([layout, words]) => button(words, () => { this.setLayout(layout); page.focus(); }, { "aria-pressed": "false", class: "dupkit-link", "data-layout": layout }));
    this.layButton = button("B laid on A", () => { this.toggleLaid(); page.focus(); }, { class: "dupkit-link", "aria-pressed": "false", title: "Turn, scale and cut B so that it lies on A (O)" });
    this.zoomWords = element("span", { class: "dupkit-muted dupkit-zoom-words" });
    this.bar = element(
      "div",
      { class: "dupkit-compare-bar", role: "toolbar", "aria-label": "How to compare" },
      ...this.buttons,
      this.layButton,
      element("span", { class: "dupkit-gap" }),
      this.zoomWords,
      button("Fit", () => { this.fit(); page.focus(); }, { class: "dupkit-link" }),
      button("100 %", () => { this.toReal(); page.focus(); }, { class: "dupkit-link" }),
    );
    this.node = element("div", { class: "dupkit-compare" }, this.bar, this.stage);
    this.setLayout("side");
    this.sizes = new ResizeObserver(() => this.place());
    this.sizes.observe(this.stage);
  }

  /** Put a pair's pictures on the stage; resolves when both stand there. */
  show(pair, side) {
    this.fit();
    this.real = false;
    this.stage.dataset.real = "false";
    this.overlay = null;
    clearTimeout(this.curious);
    this.curious = setTimeout(() => this.layout !== "side" && this.inView(pair) && this.askOverlay(pair), OVERLAY_AFTER);
    const put = async (pane, image, letter) => {
      const entry = this.page.pictures.want(image, side, 0);
      if (entry.image) return this.put(pane, entry.image, image);
      pane.replaceChildren(this.page.pictures.placeholder(image));
      pane.dataset.image = "";
      try {
        const ready = await entry.ready;
        if (this.inView(pair)) this.put(pane, ready, image);
      } catch (problem) {
        if (this.inView(pair)) pane.replaceChildren(element("span", { class: "dupkit-waiting", text: `${letter}: ${problem.message}` }));
      }
      return undefined;
    };
    const shown = Promise.all([put(this.paneA, pair.a.image, "A"), put(this.paneB, pair.b.image, "B")]);
    shown.then(() => this.inView(pair) && this.place());
    return shown;
  }

  /** Return whether a pair is still the one in view; its object changes with every decision about it. */
  inView(pair) {
    return this.viewer.pair !== null && this.viewer.pair.position === pair.position;
  }

  put(pane, picture, image) {
    pane.replaceChildren(picture);
    pane.dataset.image = image;
    this.place();
  }

  setLayout(layout) {
    this.layout = layout;
    this.stage.dataset.layout = layout;
    for (const each of this.buttons) each.setAttribute("aria-pressed", String(each.dataset.layout === layout));
    clearInterval(this.blinking);
    this.showsB = false;
    if (layout === "blink") this.blinking = setInterval(() => this.flick(), BLINK);
    if (layout !== "side" && !this.overlay && this.viewer.pair) this.askOverlay(this.viewer.pair);
    this.place();
  }

  /** Ask how B lies on A; until it is known, and side by side, each is shown as it is. */
  async askOverlay(pair) {
    try {
      const overlay = await this.overlays.want(pair.position);
      if (!this.inView(pair)) return;
      this.overlay = overlay;
      this.laid = overlay.same;
    } catch (problem) {
      if (!this.inView(pair)) return;
      this.overlay = { unknown: true };
      this.laid = false;
      this.page.say(`B is shown as it is: ${problem.message}`, true);
    }
    this.place();
  }

  toggleLaid() {
    if (this.layout === "side" || !this.overlay?.matrix) {
      this.page.say("B can be laid on A while they blink, are split, or show their difference: press B, V or D first.");
      return;
    }
    this.laid = !this.laid;
    this.place();
  }

  /** Find a crop's place to a part of a pixel, once both pictures stand there. */
  sharpen() {
    const [a, b] = [this.pictureOf(this.paneA), this.pictureOf(this.paneB)];
    if (this.overlay.sharp || !a || !b) return;
    this.overlay = { ...sharpened(a, b, this.overlay), sharp: true };
  }

  /** Return whether B is shown turned, scaled and cut so that it lies on A. */
  isLaid() {
    return this.layout !== "side" && this.laid === true && Boolean(this.overlay?.matrix);
  }

  /** Change to a layout, or back to side by side if it is on. */
  toggleLayout(layout) {
    this.setLayout(this.layout === layout ? "side" : layout);
  }

  flick() {
    if (!this.stage.isConnected) clearInterval(this.blinking);
    this.showsB = !this.showsB;
    this.place();
  }

  /** Stop the blinking by itself and show the other picture. */
  hold() {
    if (this.layout !== "blink") this.setLayout("blink");
    clearInterval(this.blinking);
    this.flick();
  }

  /** Lay the two pictures out: layer B's part, both pictures' zoom and place, the caption. */
  place() {
    const { layout } = this;
    const split = Number(this.splitter.value);
    this.paneB.style.clipPath = layout === "split" ? `inset(0 0 0 ${split}%)` : "none";
    this.paneB.style.visibility = layout === "blink" && !this.showsB ? "hidden" : "visible";
    this.paneA.style.visibility = layout === "blink" && this.showsB ? "hidden" : "visible";
    this.stage.style.setProperty("--split", `${split}%`);
    const laid = this.isLaid();
    if (laid) this.sharpen();
    for (const pane of [this.paneA, this.paneB]) {
      const picture = pane.querySelector("img");
      if (!picture) continue;
      const [x, y] = this.centre;
      if (laid && pane === this.paneB) this.overlays.lay(picture, this.overlay, this.frameOfA());
      else this.overlays.unlay(picture, `scale(${this.zoom}) translate(${(0.5 - x) * 100}%, ${(0.5 - y) * 100}%)`);
      picture.style.imageRendering = this.zoom > 4 ? "pixelated" : "auto";
    }
    this.stage.dataset.laid = layout === "side" || !this.overlay ? "unknown" : String(laid);
    this.layButton.hidden = layout === "side";
    this.layButton.setAttribute("aria-pressed", String(laid));
    this.canvas.hidden = layout !== "difference";
    this.splitter.hidden = layout !== "split";
    this.zoomWords.textContent = this.zoom === 1 ? "" : `${Math.round((100 * this.zoom) / this.realZoom())} % of A's pixels`;
    const turned = laid && this.overlay.words !== "same" && this.overlay.words ? ` laid on A (${this.overlay.words})` : "";
    this.caption.textContent = { side: "", blink: this.showsB ? `B${turned}` : "A", split: `A | B${turned}`, difference: "" }[layout];
    if (layout === "difference") this.drawDifference();
  }

  pictureOf(pane) {
    const picture = pane.querySelector("img");
    return picture && picture.naturalWidth ? picture : null;
  }

  /** Compute where the pictures differ: |A - B|, four times brighter, and how much on average. */
  drawDifference() {
    const [a, b] = [this.pictureOf(this.paneA), this.pictureOf(this.paneB)];
    if (!a || !b || !this.overlay) {
      this.caption.textContent = "laying B on A …";
      return;
    }
    const laid = this.isLaid();
    const key = `${a.src} ${b.src} ${laid}`;
    this.canvas.style.transform = a.style.transform;
    if (this.drawn === key) {
      this.caption.textContent = this.differenceWords;
      return;
    }
    this.drawn = key;
    const scale = Math.min(1, DIFFERENCE_SIDE / Math.max(a.naturalWidth, a.naturalHeight));
    const [width, height] = [Math.max(1, Math.round(a.naturalWidth * scale)), Math.max(1, Math.round(a.naturalHeight * scale))];
    Object.assign(this.canvas, { width, height });
    const overlay = laid ? this.overlay : null;
    const { mean, pixels } = difference(drawn(a, width, height, null), drawn(b, width, height, overlay));
    this.canvas.getContext("2d").putImageData(pixels, 0, 0);
    const stretched = Math.abs(a.naturalWidth / a.naturalHeight - b.naturalWidth / b.naturalHeight) > 0.01;
    const how = laid && overlay.words !== "same" && overlay.words ? `, B laid on A (${overlay.words})` : !laid && stretched ? ", B stretched to A's shape" : "";
    this.differenceWords = `difference x 4, on average ${mean.toFixed(1)} of 255${how}`;
    this.caption.textContent = this.differenceWords;
    this.stage.dataset.difference = mean.toFixed(1);
  }

  /** Return where A's picture lies in its pane at this zoom and place, CSS pixels. */
  frameOfA() {
    const { clientWidth: width, clientHeight: height } = this.paneA;
    const a = this.pictureOf(this.paneA) ?? this.viewer.pair?.a ?? { width: 1, height: 1 };
    const [w, h] = [a.naturalWidth ?? a.width, a.naturalHeight ?? a.height];
    const fit = Math.min(width / w, height / h);
    const [x, y] = this.centre;
    const at = (side, length, centre) => side / 2 + this.zoom * (-length * fit / 2 + (0.5 - centre) * side);
    return { left: at(width, w, x), top: at(height, h, y), width: this.zoom * w * fit, height: this.zoom * h * fit };
  }

  /** Return the zoom at which one pixel of A's file is one pixel of the screen. */
  realZoom() {
    const pair = this.viewer?.pair;
    const box = this.paneA.getBoundingClientRect();
    if (!pair || !box.width || !pair.a.width) return 1;
    const fitted = Math.min(box.width / pair.a.width, box.height / pair.a.height);
    return 1 / (fitted * (window.devicePixelRatio || 1));
  }

  fit() {
    this.zoom = 1;
    this.centre = [0.5, 0.5];
    this.place();
  }

  /** Zoom so that A's file pixels are the screen's, and fetch the real pixels of both. */
  async toReal() {
    const { pair } = this.viewer;
    if (!pair) return;
    this.setZoom(this.realZoom());
    await this.loadReal();
  }

  toggleReal() {
    if (this.zoom === 1) this.toReal();
    else this.fit();
  }

  async loadReal() {
    const { pair } = this.viewer;
    if (this.real || !pair) return;
    this.real = true;
    await Promise.all([[this.paneA, pair.a], [this.paneB, pair.b]].map(async ([pane, side]) => {
      try {
        const picture = await this.page.pictures.want(side.image, 0, 0).ready;
        if (this.inView(pair)) this.put(pane, picture, side.image);
      } catch (problem) {
        this.page.say(problem.message, true);
      }
    }));
    this.stage.dataset.real = String(this.inView(pair));
  }

  setZoom(zoom, at = null) {
    const next = Math.min(Math.max(zoom, 1), Math.max(8, 8 * this.realZoom()));
    if (at) {
      // The point below the pointer stays where it is.
      const [x, y] = at;
      this.centre = [this.centre[0] + x * (1 / this.zoom - 1 / next), this.centre[1] + y * (1 / this.zoom - 1 / next)];
    }
    this.zoom = next;
    this.keepInside();
    this.place();
    if (this.zoom > 2) this.loadReal();
  }

  keepInside() {
    const half = 0.5 / this.zoom;
    this.centre = this.centre.map((value) => Math.min(Math.max(value, half), 1 - half));
  }

  paneAt(event) {
    const box = (event.target.closest(".dupkit-pane") ?? this.paneA).getBoundingClientRect();
    return [(event.clientX - box.left) / box.width - 0.5, (event.clientY - box.top) / box.height - 0.5];
  }

  wheel(event) {
    // At fit the wheel scrolls the notebook; with Ctrl, or once zoomed, it zooms.
    if (this.zoom === 1 && !event.ctrlKey) return;
    event.preventDefault();
    this.setZoom(this.zoom * Math.exp(-event.deltaY / 400), this.paneAt(event));
  }

  drag(event) {
    if (event.button !== 0 || event.target === this.splitter) return;
    const move = this.layout === "split" && this.zoom === 1 ? (moved) => this.moveSplit(moved) : this.pan(event);
    if (!move) return;
    event.preventDefault();
    this.page.focus();
    this.stage.setPointerCapture(event.pointerId);
    this.stage.addEventListener("pointermove", move);
    this.stage.addEventListener("lostpointercapture", () => this.stage.removeEventListener("pointermove", move), { once: true });
  }

  moveSplit(moved) {
    const box = this.stage.getBoundingClientRect();
    this.splitter.value = (100 * (moved.clientX - box.left)) / box.width;
    this.place();
  }

  pan(event) {
    if (this.zoom === 1) return null;
    const [x, y] = [event.clientX, event.clientY];
    const start = this.centre;
    const box = this.paneA.getBoundingClientRect();
    return (moved) => {
      this.centre = [start[0] - (moved.clientX - x) / (box.width * this.zoom), start[1] - (moved.clientY - y) / (box.height * this.zoom)];
      this.keepInside();
      this.place();
    };
  }

  close() {
    clearInterval(this.blinking);
    clearTimeout(this.curious);
    this.sizes.disconnect();
  }
}
