/* Pictures by image id: asked for once, kept as object URLs, the least recently shown forgotten first. */

/** Pictures kept: ten pairs ahead, ten behind, the list's rows. */
const KEPT_LARGE = 48;
const KEPT_SMALL = 600;

/** Questions for pictures under way at once; further ones wait here, where a more urgent one can overtake them. */
const UNDER_WAY = 4;

/** The same while the most urgent one is for later: decoding camera photos must leave a core to the next key. */
const UNDER_WAY_AHEAD = 2;

/** Largest side of a picture in the list, pixels. */
const SMALL_SIDE = 96;

class Pictures {
  constructor(channel) {
    this.channel = channel;
    this.large = new Map();
    this.small = new Map();
    this.queue = [];
    this.n_under_way = 0;
    this.problems = new Map();
    /** Called with the number of thumbnails that cannot be made and why one of them cannot. */
    this.failed = () => {};
    /** Whether keys are waiting that decide the pairs whose pictures are asked for: then nothing is asked. */
    this.held = () => false;
  }

  shelf(side) {
    return side === SMALL_SIDE ? this.small : this.large;
  }

  /** Return the entry of a picture: `ready` resolves to its decoded Image element, `image` is it once it is there. */
  want(image, side, urgency) {
    const shelf = this.shelf(side);
    const key = `${image}:${side}`;
    let entry = shelf.get(key);
    if (entry) {
      shelf.delete(key); // to the end: shown last, forgotten last
      shelf.set(key, entry);
      entry.urgency = Math.min(entry.urgency, urgency);
      return entry;
    }
    entry = { key, id: image, side, urgency, image: null, url: null, facts: null };
    entry.ready = new Promise((resolve, reject) => Object.assign(entry, { resolve, reject }));
    entry.ready.catch(() => {});
    shelf.set(key, entry);
    this.queue.push(entry);
    this.forget(shelf, side === SMALL_SIDE ? KEPT_SMALL : KEPT_LARGE);
    this.work();
    return entry;
  }

  /** Return a small picture of an image: grey until it is there; where there is none, the frame says so and why. */
  thumbnail(image, urgency) {
    const entry = this.want(image, SMALL_SIDE, urgency);
    const frame = element("span", { class: "dupkit-thumb" });
    const put = () => frame.replaceChildren(entry.image.cloneNode());
    if (entry.image) put();
    else entry.ready.then(put, (problem) => {
      frame.classList.add("dupkit-no-thumb");
      frame.textContent = "none";
      frame.title = `no thumbnail: ${problem.message}`;
    });
    return frame;
  }

  /** Return what stands on the stage until a picture arrives: its thumbnail, enlarged, or plain grey. */
  placeholder(image) {
    const small = this.small.get(`${image}:${SMALL_SIDE}`);
    const node = element("span", { class: "dupkit-waiting", text: small?.url ? "" : "…" });
    if (small?.url) node.style.backgroundImage = `url("${small.url}")`;
    return node;
  }

  noteProblem(entry, problem) {
    if (problem) this.problems.set(entry.key, problem);
    else if (!this.problems.delete(entry.key)) return;
    this.failed(this.problems.size, [...this.problems.values()].at(-1) ?? "");
  }

  /** Drop waiting questions for large pictures: the pair in view has changed, and with it the next ten. */
  dropWaiting() {
    const dropped = this.queue.filter((entry) => entry.side !== SMALL_SIDE);
    this.queue = this.queue.filter((entry) => entry.side === SMALL_SIDE);
    for (const entry of dropped) {
      this.large.delete(entry.key);
      entry.reject(new Error("no longer asked for"));
    }
  }

  work() {
    if (this.held()) return;
    this.queue.sort((a, b) => a.urgency - b.urgency);
    while (this.queue.length && this.n_under_way < (this.queue[0].urgency === 0 ? UNDER_WAY : UNDER_WAY_AHEAD)) {
      const entry = this.queue.shift();
      const large = entry.side === SMALL_SIDE && !entry.alone && [...this.large.values()].find(({ id, side }) => id === entry.id && side > 0);
      if (large) this.shrink(entry, large);
      else this.load(entry);
    }
  }

  /** Make a small picture of a large one that is here or on its way: a camera photo is decoded once. */
  async shrink(entry, large) {
    try {
      const picture = await large.ready;
      const scale = Math.min(1, SMALL_SIDE / Math.max(picture.naturalWidth, picture.naturalHeight));
      const canvas = Object.assign(document.createElement("canvas"), { width: Math.max(1, Math.round(picture.naturalWidth * scale)), height: Math.max(1, Math.round(picture.naturalHeight * scale)) });
      const context = canvas.getContext("2d");
      context.imageSmoothingQuality = "high";
      context.drawImage(picture, 0, 0, canvas.width, canvas.height);
      await this.finish(entry, await new Promise((resolve) => { canvas.toBlob(resolve, "image/jpeg", 0.9); }));
    } catch {
      // The large one is no longer asked for, or cannot be had: ask for the small one itself.
      entry.alone = true;
      this.queue.push(entry);
      this.work();
    }
  }

  /** Let an entry's picture stand once it is decoded. */
  async finish(entry, blob) {
    entry.url = URL.createObjectURL(blob);
    const image = new Image();
    image.draggable = false;
    image.alt = "";
    image.src = entry.url;
    await image.decode();
    entry.image = image;
    entry.resolve(image);
    if (entry.side === SMALL_SIDE) this.noteProblem(entry, null);
  }

  async load(entry) {
    this.n_under_way += 1;
    try {
      const answer = await this.channel.ask("picture", { image: entry.id, side: entry.side });
      await this.finish(entry, new Blob([answer.buffers[0]], { type: "image/jpeg" }));
    } catch (problem) {
      if (entry.side === SMALL_SIDE) this.noteProblem(entry, problem.message);
      this.shelf(entry.side).delete(entry.key);
      entry.reject(problem);
    } finally {
      this.n_under_way -= 1;
      this.work();
    }
  }

  forget(shelf, kept) {
    for (const [key, entry] of shelf) {
      if (shelf.size <= kept) break;
      if (entry.image && entry.image.isConnected) continue;
      shelf.delete(key);
      this.queue = this.queue.filter((waiting) => waiting !== entry);
      if (entry.url) URL.revokeObjectURL(entry.url);
    }
  }

  /** Forget everything: the files have moved, or the page closes. */
  clear() {
    for (const shelf of [this.large, this.small]) {
      for (const entry of shelf.values()) if (entry.url) URL.revokeObjectURL(entry.url);
      shelf.clear();
    }
    this.queue = [];
  }
}
