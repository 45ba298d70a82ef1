/* Keeper rules, an ordered list that the analyst edits; bulk rules, previewed before they decide. */

class Rules {
  constructor(page) {
    this.page = page;
    this.rules = [];
    this.list = element("ol", { class: "dupkit-rules" });
    this.more = element("select", { "aria-label": "Keeper rule to add", class: "dupkit-select" });
    fillChoice(this.more, page.facts.keeper_words.map((word) => [word, word]));
    this.argument = element("input", { type: "text", placeholder: "folder or formats", "aria-label": "Folder or formats of the rule", class: "dupkit-search" });
    this.bulk = element("select", { "aria-label": "Bulk rule", class: "dupkit-select" });
    fillChoice(this.bulk, page.facts.bulk_rules);
    this.bulkArgument = element("input", { type: "text", placeholder: "folder", "aria-label": "Folder of the bulk rule", class: "dupkit-search" });
    this.preview = element("div", { class: "dupkit-preview" });
    this.node = element(
      "details",
      { class: "dupkit-rules-panel" },
      element("summary", { text: "rules: which picture is kept, and deciding many pairs at once" }),
      element("div", { class: "dupkit-rules-columns" },
        element("div", {}, element("strong", { text: "Keep the one that is first by" }), this.list, element("div", { class: "dupkit-learn-row" }, this.more, this.argument, button("Add rule", () => this.add()))),
        element("div", {}, element("strong", { text: "Decide many at once" }), element("div", { class: "dupkit-learn-row" }, this.bulk, this.bulkArgument, button("Preview", () => this.ask("preview_rule")), button("Decide these", () => this.ask("apply_rule"))), this.preview)),
    );
  }

  update(rules) {
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

  async ask(question) {
    this.page.focus();
    try {
      const answer = await this.page.channel.ask(question, { rule: this.bulk.value, folder: this.bulkArgument.value.trim() });
      const rows = answer.rows.map((row) => element("tr", {}, ...row.map((cell) => element("td", { text: cell }))));
      this.preview.replaceChildren(element("p", { text: answer.words }), element("div", { class: "dupkit-scroll" }, element("table", { class: "dupkit-table" }, element("tbody", {}, ...rows))));
      if (answer.status) this.page.take(answer);
    } catch (problem) {
      this.preview.replaceChildren(element("p", { class: "dupkit-problem", text: problem.message }));
    }
  }
}
