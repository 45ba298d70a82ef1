/* The four buttons under the pair, what has been decided so far, and what the decisions say about the threshold. */

class DecisionBar {
  constructor(page) {
    this.page = page;
    const deciding = (name, key, act, more = "") => button(name, () => page.decide(act), { "aria-label": name, "aria-keyshortcuts": key, "data-key": key, class: `dupkit-button dupkit-deciding ${more}` });
    this.node = element(
      "div",
      { class: "dupkit-decision-bar", role: "toolbar", "aria-label": "Decide" },
      deciding("Approve", "A", "approve", "dupkit-primary"),
      deciding("Reject", "R", "reject"),
      deciding("Skip", "S", "skip"),
      deciding("Undo", "U", "undo"),
      element("span", { class: "dupkit-gap" }),
      element(
        "span",
        { class: "dupkit-nav" },
        button("‹", () => page.go("previous"), { "aria-label": "Previous pair", title: "Previous pair (←)" }),
        button("›", () => page.go("next"), { "aria-label": "Next pair", title: "Next pair (→)" }),
      ),
    );
  }
}

/* One line of what the decisions teach, and the questions that it answers. */
class Calibration {
  constructor(page) {
    this.page = page;
    this.words = element("strong", { class: "dupkit-calibration-words", text: "Nothing decided yet" });
    this.lesson = element("div", { class: "dupkit-calibration-words" });
    this.precision = element("input", { type: "number", min: 50, max: 99.9, step: 0.1, value: 95, "aria-label": "Wanted precision in per cent", class: "dupkit-number" });
    this.advice = element("span", { class: "dupkit-muted" });
    this.node = element(
      "div",
      { class: "dupkit-calibration" },
      this.words,
      this.lesson,
      element("details", { class: "dupkit-learn" }, element("summary", { text: "learn from them" }), element("div", { class: "dupkit-learn-row" }, element("label", {}, "Threshold for a precision of ", this.precision, " %"), button("Suggest", () => this.suggest()), button("Review the 20 that teach most", () => page.reviewNext(), { title: "Twenty undecided pairs from the bands whose precision is least certain (X)" }), this.advice)),
    );
    this.later = debounce(() => this.ask(), 350);
  }

  async ask() {
    try {
      const { words, more, bands } = await this.page.channel.ask("calibration", { threshold: this.page.explorer.threshold });
      this.words.textContent = words;
      this.lesson.textContent = more;
      this.page.explorer.setBands(bands);
    } catch (problem) {
      this.words.textContent = problem.message;
    }
  }

  async suggest() {
    const { channel, explorer } = this.page;
    try {
      const { choices, words } = await channel.ask("suggest", { precision: Number(this.precision.value) / 100 });
      this.advice.replaceChildren(words, ...choices.map(([sure, threshold]) => button(`${sure}: ${distanceInWords(threshold)}`, () => explorer.move(threshold), { class: "dupkit-link", title: "Set the threshold to it" })));
    } catch (problem) {
      this.advice.textContent = problem.message;
    }
  }
}
