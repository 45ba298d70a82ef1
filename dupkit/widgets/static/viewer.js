/* The pair: two pictures, what differs, why they match. How the pictures lie on each other is compare.js. */

/** Sides of pictures asked for, pixels: a few sizes only, so that a prefetched picture is the one that is shown. */
const LARGE_SIDES = [640, 1024, 1600, 2400];

/** Milliseconds on one pair before the next ones are fetched ahead: whoever runs through the list needs this pair first. */
const AHEAD_AFTER = 90;

/** Milliseconds on one pair before its files are opened for camera and time. */
const CAMERA_AFTER = 250;

class Viewer {
  constructor(page) {
    this.page = page;
    this.pair = null;
    this.cameras = new Map();
    this.compare = new Compare(page, this);
    this.facts = element("div", { class: "dupkit-facts" });
    this.verdict = element("div", { class: "dupkit-verdict" });
    this.place = element("span", { class: "dupkit-muted dupkit-place" });
    this.further = button("next undecided", () => page.go("undecided"), { class: "dupkit-link", title: "Next undecided pair (N)" });
    this.whyPicture = element("img", { class: "dupkit-why-picture", alt: "The two histograms overlaid by channel; the bins that carry most of the distance are shaded", hidden: true });
    this.why = element("details", { class: "dupkit-why", on: { toggle: () => this.askWhy() } }, element("summary", { text: "why do they match?" }), this.whyPicture, element("p", { class: "dupkit-muted", text: "Pixels by brightness of each channel: A filled, B as a line. Shaded: the fewest bins that carry 80 % of the squared distance." }));
    this.group = new GroupStrip(page);
    this.bar = new DecisionBar(page);
    this.empty = element("p", { class: "dupkit-empty" });
    this.body = element("div", { class: "dupkit-viewer-body" }, this.empty, this.compare.node, this.bar.node, page.message, this.facts, this.verdict, this.group.node, this.why);
    this.node = element("div", { class: "dupkit-viewer", role: "group", "aria-label": "Pair" }, this.body);
  }

  /** Return the side of the pictures for this page's width and screen: one for all layouts, so that changing fetches none. */
  side() {
    const wanted = Math.max(this.compare.stage.clientWidth, 300) * Math.min(window.devicePixelRatio || 1, 2);
    return LARGE_SIDES.find((side) => side >= wanted) ?? LARGE_SIDES.at(-1);
  }

  /** Show a pair; resolves when both pictures stand there. */
  show(pair, upcoming) {
    const same = Boolean(pair && this.pair && this.pair.position === pair.position);
    this.pair = pair;
    this.empty.hidden = Boolean(pair);
    for (const part of [this.compare.node, this.facts, this.verdict, this.group.node, this.why]) part.hidden = !pair;
    if (!pair) {
      this.empty.textContent = this.page.status.n_visible || !this.page.facts.n_pairs ? this.nothing() : "No pair below this threshold and these filters. Move the slider to the right, or show all pairs.";
      return Promise.resolve();
    }
    const side = this.side();
    let shown = Promise.resolve();
    if (!same) {
      this.page.pictures.dropWaiting();
      shown = this.compare.show(pair, side);
    }
    clearTimeout(this.ahead);
    // The next three pairs come before the list's rows, the other seven after them.
    this.ahead = setTimeout(() => upcoming.flat().forEach((image, i) => this.page.pictures.want(image, side, i < 6 ? 1 : 4)), AHEAD_AFTER);
    this.showFacts(pair);
    clearTimeout(this.curious);
    this.curious = setTimeout(() => this.askCamera(pair), [pair.a, pair.b].every(({ image }) => this.cameras.has(image)) ? 0 : CAMERA_AFTER);
    this.showVerdict(pair);
    this.group.show(pair);
    if (this.why.open) this.askWhy();
    return shown;
  }

  nothing() {
    return this.page.facts.n_pairs ? "Every pair in this list is decided." : "No two pictures lie closer than the largest stored distance: there is nothing to review.";
  }

  showFacts(pair) {
    const column = (letter, side) => element(
      "div",
      { class: "dupkit-side" },
      element("div", { class: "dupkit-path" }, element("span", { class: "dupkit-letter", text: letter }), element("span", { class: "dupkit-path-text", text: side.path })),
      element("div", { class: "dupkit-fact-row" }, ...side.facts.map((fact) => this.fact(fact))),
      element("div", { class: "dupkit-keeper-row" }, side.keeper ? element("span", { class: "dupkit-tag dupkit-keeper", text: `keeper: ${side.reason}` }) : element("span", { class: "dupkit-muted", text: side.reason }), side.keeper ? null : button("keep it instead", () => this.page.setKeeper(side.image), { "aria-label": `Keep ${letter} instead`, class: "dupkit-link" }), side.note ? element("span", { class: "dupkit-tag", text: side.note }) : null),
    );
    this.facts.replaceChildren(column("A", pair.a), column("B", pair.b));
  }

  /** Add what the files themselves say of camera and time, which is read only now. */
  async askCamera(pair) {
    const missing = [pair.a.image, pair.b.image].filter((image) => !this.cameras.has(image));
    if (missing.length) {
      const { facts } = await this.page.channel.ask("camera", { images: missing }).catch(() => ({ facts: [] }));
      facts.forEach((said, i) => this.cameras.set(missing[i], said));
      if (this.cameras.size > 2000) this.cameras.delete(this.cameras.keys().next().value);
    }
    if (this.pair !== pair) return;
    [pair.a, pair.b].forEach((side, i) => {
      const said = this.cameras.get(side.image) ?? {};
      const row = this.facts.children[i].querySelector(".dupkit-fact-row");
      if (said.taken) row.append(this.fact({ name: "taken", text: `taken ${said.taken}` }));
      if (said.camera) row.append(this.fact({ name: "camera", text: said.camera }));
    });
  }

  fact(fact) {
    return element("span", { class: `dupkit-fact${fact.better ? " dupkit-better" : ""}`, title: fact.name }, fact.text, fact.note ? element("span", { class: "dupkit-note", text: ` ${fact.note}` }) : null);
  }

  showVerdict(pair) {
    const parts = [element("strong", { text: `${pair.measure} ${distanceInWords(pair.rms)}` }), ...pair.words.map((words) => element("span", { text: words }))];
    if (pair.decision) parts.push(element("span", { class: `dupkit-tag dupkit-${pair.decision}`, text: pair.decision }));
    const { status } = this.page;
    this.place.textContent = status.place >= 0 ? `${countInWords(status.place + 1)} of ${countInWords(status.n_visible)}` : "";
    this.verdict.replaceChildren(...parts, element("span", { class: "dupkit-gap" }), this.place, this.further);
  }

  close() {
    clearTimeout(this.ahead);
    clearTimeout(this.curious);
    this.compare.close();
  }

  async askWhy() {
    if (!this.why.open || !this.pair) return;
    const { position } = this.pair;
    try {
      const answer = await this.page.channel.ask("why", { position, width: Math.max(320, Math.floor(this.why.clientWidth)), scale: Math.min(window.devicePixelRatio || 1, 2), palette: this.page.palette() });
      if (!this.pair || this.pair.position !== position) return;
      const url = URL.createObjectURL(new Blob([answer.buffers[0]], { type: "image/png" }));
      this.whyPicture.onload = () => {
        this.whyPicture.hidden = false;
        URL.revokeObjectURL(url);
      };
      this.whyPicture.src = url;
      this.whyPicture.style.width = `${answer.width}px`;
    } catch (problem) {
      this.page.say(problem.message, true);
    }
  }
}

/* The group of the pair: its members, the keeper, and whether it is a chain. */
class GroupStrip {
  constructor(page) {
    this.page = page;
    this.node = element("div", { class: "dupkit-group", role: "group", "aria-label": "Group" });
  }

  show(pair) {
    const { group } = pair;
    this.node.hidden = !group || group.n_members < 3;
    if (this.node.hidden) return this.node.replaceChildren();
    const words = `${countInWords(group.n_members)} pictures in this group, largest ${pair.measure} ${group.largest_rms === null ? "unknown" : distanceInWords(group.largest_rms)}`;
    const chain = group.chain ? element("span", { class: "dupkit-tag dupkit-chain", text: "chain: its ends are far apart", title: "A is near B and B near C, but A and C are not a pair below the threshold." }) : null;
    const cut = group.chain && pair.can_cut ? button("Cut the chain here", () => this.page.decide("cut"), { class: "dupkit-link" }) : null;
    const whole = button("Whole group", () => this.page.decide("approve_group"), { class: "dupkit-link", title: "Approve every undecided pair of this group (G)" });
    const members = group.members.map((member) => this.member(member, pair));
    return this.node.replaceChildren(element("div", { class: "dupkit-group-words" }, words, chain, cut, whole), element("div", { class: "dupkit-members" }, ...members));
  }

  member(member, pair) {
    const frame = this.page.pictures.thumbnail(member.image, 2);
    const letter = member.image === pair.a.image ? "A" : member.image === pair.b.image ? "B" : "";
    return element("button", { type: "button", class: `dupkit-member${member.keeper ? " dupkit-member-keeper" : ""}`, title: `${member.path}\n${member.reason}`, "aria-label": `Keep ${member.path}`, on: { click: () => this.page.setKeeper(member.image) } }, frame, element("span", { text: member.keeper ? "keeper" : letter }));
  }
}
