/* Keeper rules, an ordered list that the analyst edits; bulk rules, counted and previewed before they decide. */

class Rules {
  constructor(page) {
    this.page = page;
    this.rules = [];
    this.list = element("ol", { class: "dupkit-rules" });
    this.more = element("select", { "aria-label": "Keeper rule to add", class: "dupkit-select" });
    fillChoice(this.more, page.facts.keeper_words.map((word) => [word, word]));
    this.argument = element("input", { type: "text", placeholder: "folder or formats", "aria-label": "Folder or formats of the rule", class: "dupkit-search" });
    this.bulkFolder = element("input", { type: "text", placeholder: "folder", "aria-label": "Folder of the bulk rule", class: "dupkit-search" });
    this.bulkFolder.addEventListener("input", debounce(() => this.count(), 250));
    this.bulk = page.facts.bulk_rules.map(([rule, words]) => button(words, () => this.look(rule), { class: "dupkit-link dupkit-bulk", title: "See first which pairs it would decide" }));
    this.counts = this.bulk.map(() => element("span", { class: "dupkit-muted" }));
    this.preview = element("div", { class: "dupkit-preview", role: "region", "aria-label": "Preview of the rule" });
    this.later = debounce(() => this.count(), 400);
    this.node = element(
      "details",
      { class: "dupkit-rules-panel", on: { toggle: () => this.count() } },
      element("summary", { text: "rules: which picture is kept, and deciding many pairs at once" }),
      element(
        "div",
        { class: "dupkit-rules-columns" },
        element("div", {}, element("strong", { text: "Keep the one that is first by" }), this.list, element("div", { class: "dupkit-learn-row" }, this.more, this.argument, button("Add rule", () => this.add()))),
        element(
          "div",
          {},
          element("strong", { text: "Decide many at once" }),
          element("p", { class: "dupkit-muted", text: "Press one to see which undecided pairs it would decide." }),
          element("ul", { class: "dupkit-bulk-rules" }, ...this.bulk.map((name, i) => element("li", {}, name, this.counts[i]))),
          element("label", { class: "dupkit-learn-row" }, "Folder …", this.bulkFolder),
        ),
      ),
      this.preview,
    );
  }

  open() {
    this.node.open = true;
    this.bulk[0].focus();
  }

  update(rules) {
    if (this.node.open) this.later();
    if (JSON.stringify(rules) === JSON.stringify(this.rules)) return;
    this.rules = rules;
    this.list.replaceChildren(...rules.map((rule, i) => element("li", {}, element("span", { text: rule }), this.arrow("↑", `Move ${rule} up`, i, -1), this.arrow("↓", `Move ${rule} down`, i, 1), button("×", () => this.send(rules.filter((_, j) => j !== i)), { class: "dupkit-link", "aria-label": `Remove ${rule}` }))));
  }

  arrow(words, label, i, by) {
    return button(words, () => {
      const order = [...this.rules];
      const [rule] = order.splice(i, 1);
      order.splice(Math.max(0, i + by), 0, rule);
      this.send(order);
    }, { class: "dupkit-link", "aria-label": label });
  }

  add() {
    const [word] = this.more.value.split(":");
    const argument = this.argument.value.trim();
    const rule = this.more.value.includes(":") || (word === "format" && argument) ? `${word}:${argument}` : word;
    this.send([rule, ...this.rules.filter((known) => known !== rule)]);
  }

  async send(rules) {
    this.page.focus();
    await this.page.ask("keeper_rules", { rules });
  }

  get folder() {
    return this.bulkFolder.value.trim();
  }

  /** Say beside each bulk rule how many pairs it would decide. */
  async count() {
    if (!this.node.open) return;
    const { counts } = await this.page.channel.ask("rule_counts", { folder: this.folder }).catch(() => ({ counts: [] }));
    counts.forEach((n, i) => { this.counts[i].textContent = n === null ? "write the folder below" : n === 1 ? "1 pair" : `${countInWords(n)} pairs`; });
  }

  async look(rule) {
    this.page.focus();
    try {
      const { words, rows, n_pairs: n, decide } = await this.page.channel.ask("preview_rule", { rule, folder: this.folder });
      const { pictures } = this.page;
      const body = rows.map(({ images, cells }) => element("tr", {}, element("td", { class: "dupkit-thumb-cell" }, ...images.map((image) => pictures.thumbnail(image, 4))), ...cells.map((cell) => element("td", { text: cell }))));
      const head = element("div", { class: "dupkit-learn-row" }, element("strong", { text: words }), n ? button(decide, () => this.apply(rule, n), { class: "dupkit-button dupkit-primary" }) : null, button("Close preview", () => { this.preview.replaceChildren(); this.page.focus(); }, { class: "dupkit-link" }));
      this.preview.replaceChildren(head, element("div", { class: "dupkit-scroll" }, element("table", { class: "dupkit-table" }, element("tbody", {}, ...body))));
      head.querySelector(".dupkit-primary")?.focus();
    } catch (problem) {
      this.preview.replaceChildren(element("p", { class: "dupkit-problem", text: problem.message }));
    }
  }

  async apply(rule, n_pairs) {
    this.preview.replaceChildren();
    this.page.focus();
    await this.page.ask("apply_rule", { rule, folder: this.folder, n_pairs });
    this.count();
  }
}
