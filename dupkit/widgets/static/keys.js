/* Keys of the page: what each does, the overlay that says so, and where the focus is. */

const KEYS = [
  ["a", "A", "approve: the same picture", (page) => page.decide("approve")],
  ["r", "R", "reject: not duplicates, never ask again", (page) => page.decide("reject")],
  ["s", "S", "skip for now", (page) => page.decide("skip")],
  ["u", "U", "undo the last decision", (page) => page.decide("undo")],
  ["1", "1", "approve, keep the left picture", (page) => page.decide("keep_left")],
  ["2", "2", "approve, keep the right picture", (page) => page.decide("keep_right")],
  ["3", "3", "keep both: not duplicates", (page) => page.decide("keep_both")],
  ["g", "G", "approve the whole group", (page) => page.decide("approve_group")],
  ["ArrowRight", "→", "next pair", (page) => page.go("next")],
  ["ArrowLeft", "←", "previous pair", (page) => page.go("previous")],
  ["n", "N", "next undecided pair", (page) => page.go("undecided")],
  ["m", "M", "next band of distances", (page) => page.go("band")],
  ["p", "P", "list of pairs or of groups", (page) => page.list.filters.setKind(!page.status.grouping)],
  ["j", "J", "next undecided group", (page) => page.go("next_group")],
  ["k", "K", "previous group", (page) => page.go("previous_group")],
  ["l", "L", "go to the list: ↑ ↓ choose, Enter opens", (page) => page.list.scroller.focus()],
  ["/", "/", "filter the list", (page) => page.list.filters.open()],
  ["b", "B", "blink", (page) => page.viewer.compare.toggleLayout("blink")],
  [" ", "Space", "flick between A and B while blinking", (page) => page.viewer.compare.hold()],
  ["d", "D", "difference", (page) => page.viewer.compare.toggleLayout("difference")],
  ["v", "V", "split view", (page) => page.viewer.compare.toggleLayout("split")],
  ["f", "F", "side by side", (page) => page.viewer.compare.setLayout("side")],
  ["o", "O", "B laid on A, or as it is", (page) => page.viewer.compare.toggleLaid()],
  ["z", "Z", "100 % with the real pixels, or fit", (page) => page.viewer.compare.toggleReal()],
  ["+", "+", "zoom in", (page) => page.viewer.compare.setZoom(page.viewer.compare.zoom * 1.5)],
  ["-", "-", "zoom out", (page) => page.viewer.compare.setZoom(page.viewer.compare.zoom / 1.5)],
  ["w", "W", "why they match", (page) => { page.viewer.why.open = !page.viewer.why.open; }],
  ["t", "T", "go to the threshold slider", (page) => page.explorer.slider.focus()],
  ["x", "X", "the 20 pairs that teach most", (page) => page.reviewNext()],
  ["e", "E", "rules: which is kept, many at once", (page) => page.rules.open()],
  ["c", "C", "plan the moves; nothing moves yet", (page) => page.mover.plan()],
  ["?", "?", "these keys", (page) => page.keys.toggleHelp()],
  ["Escape", "Esc", "close, or back from a field to the keys", (page) => page.keys.escape()],
];

/** Keys that decide: held down they decide once, not twenty pairs nobody has seen. */
const DECIDING = new Set(["a", "r", "s", "u", "1", "2", "3", "g"]);

class Keys {
  constructor(page) {
    this.page = page;
    this.where = element("span", { class: "dupkit-where" });
    this.help = element(
      "div",
      { class: "dupkit-help", role: "dialog", "aria-label": "Keys", hidden: true },
      element("strong", { text: "Keys" }),
      element("dl", {}, ...KEYS.flatMap(([, name, words]) => [element("dt", {}, element("kbd", { text: name })), element("dd", { text: words })])),
      button("Close", () => this.toggleHelp(), {}),
    );
    page.node.addEventListener("keydown", (event) => this.press(event));
    page.node.addEventListener("focusin", () => this.showWhere(true));
    page.node.addEventListener("focusout", (event) => this.left(event));
    page.node.addEventListener("click", (event) => this.clicked(event));
    this.showWhere(false);
  }

  press(event) {
    if ((event.ctrlKey || event.metaKey) && event.key === "s") {
      // JupyterLab does not get this key here, and the browser would save the page as a file.
      event.preventDefault();
      this.page.say("Every decision is stored already. To save the notebook, click outside this page first.");
      return;
    }
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const { target } = event;
    const typing = target.matches("input:not([type=range]):not([type=checkbox]), textarea, select");
    if (typing && event.key !== "Escape") return;
    const pressing = target.matches("button, summary, input[type=checkbox]") && (event.key === " " || event.key === "Enter");
    const sliding = target.matches("input[type=range]") && event.key.startsWith("Arrow");
    if (pressing || sliding) return;
    const wanted = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const known = KEYS.find(([key]) => key === wanted);
    if (!known) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.repeat && DECIDING.has(wanted)) return;
    known[3](this.page);
  }

  /** After a click on any control that is not typed into, the keys work again. */
  clicked(event) {
    if (event.target.closest("input:not([type=range]):not([type=checkbox]), textarea, select, a")) return;
    this.page.focus();
  }

  left(event) {
    // The new place is known only when the event is over; a control that vanished leaves none.
    setTimeout(() => this.showWhere(this.page.node.contains(document.activeElement)), 0);
  }

  showWhere(here) {
    const lost = !here && ["here", "lost"].includes(this.page.node.dataset.keys);
    this.page.node.dataset.keys = here ? "here" : lost ? "lost" : "unused";
    const words = here ? "Keys work here · ? shows them" : lost ? "Keys go elsewhere now: click the page to bring them back" : "Click the page to work by keys";
    if (this.where.textContent !== words) this.where.textContent = words;
  }

  toggleHelp() {
    this.help.hidden = !this.help.hidden;
    this.page.focus();
  }

  escape() {
    this.help.hidden = true;
    this.page.focus();
  }
}
