/* From decisions to files: export and import, the plan as a table to read, apply, undo. */

/** Rows of a plan in the page; the rest is counted below them. */
const PLAN_ROWS = 500;

class Mover {
  constructor(page) {
    this.page = page;
    this.upload = element("input", { type: "file", accept: ".csv,text/csv", hidden: true, "aria-label": "CSV file of decisions", on: { change: () => this.importCsv() } });
    this.node = element(
      "div",
      { class: "dupkit-mover", role: "toolbar", "aria-label": "Results" },
      button("Export CSV", () => this.run("export", "Writing …")),
      button("Import CSV", () => this.upload.click(), { title: "Take in the decisions of a colleague" }),
      button("Refresh", () => this.run("refresh", "Looking for decisions of other windows …"), { title: "See what other notebooks have decided" }),
      element("span", { class: "dupkit-gap" }),
      button("Plan moves", () => this.plan(), { title: "See what would move; nothing moves yet (C)" }),
      button("Apply moves", () => this.apply()),
      button("Undo moves", () => this.run("undo_moves", "Moving back …")),
      this.upload,
    );
    this.panel = element("section", { class: "dupkit-plan", "aria-label": "Moves", hidden: true });
  }

  /** Ask one of the long questions; its one line and its table are shown, whatever comes back. */
  async run(question, meanwhile, details = {}) {
    this.page.focus();
    this.page.say(meanwhile);
    try {
      const answer = await this.page.channel.ask(question, { ...details, patient: true }, details.file ? [details.file] : []);
      this.page.say(answer.words);
      if (answer.table) this.showTable(answer);
      if (answer.status) this.page.take(answer);
      if (answer.moved) this.page.pictures.clear();
      return answer;
    } catch (problem) {
      this.page.say(problem.message, true);
      return null;
    }
  }

  plan() {
    return this.run("plan", "Planning …");
  }

  async apply(confirm = null) {
    const answer = await this.run("apply", "Moving …", { confirm });
    if (answer?.ask_for) this.askFor(answer);
  }

  /** Above the brake: nothing moves before the number of moves is typed here. */
  askFor({ ask_for: n_moves, words }) {
    const typed = element("input", { type: "text", inputmode: "numeric", "aria-label": "Number of moves", autocomplete: "off", class: "dupkit-number" });
    const send = () => this.apply(typed.value.trim());
    typed.addEventListener("keydown", (event) => {
      if (event.key === "Enter") send();
      if (event.key === "Escape") this.page.focus();
    });
    const brake = element("div", { class: "dupkit-brake", role: "group", "aria-label": "Confirm moves" }, element("span", { text: `${words} Type ${n_moves} to go on:` }), typed, button("Confirm", send));
    this.panel.querySelector(".dupkit-brake")?.remove();
    this.panel.prepend(brake);
    this.panel.hidden = false;
    this.panel.scrollIntoView({ block: "nearest" });
    typed.focus();
  }

  showTable({ title, table, n_rows: n_rows }) {
    const shown = table.rows.slice(0, PLAN_ROWS);
    const rest = n_rows - shown.length;
    this.panel.replaceChildren(
      element("div", { class: "dupkit-plan-head" }, element("strong", { text: title }), element("span", { class: "dupkit-gap" }), button("Close table", () => { this.panel.hidden = true; this.page.focus(); }, { class: "dupkit-link" })),
      element("div", { class: "dupkit-scroll" }, element("table", { class: "dupkit-table" }, element("thead", {}, element("tr", {}, ...table.columns.map((name) => element("th", { scope: "col", text: name })))), element("tbody", {}, ...shown.map((row) => element("tr", {}, ...row.map((cell) => element("td", { text: cell }))))))),
      ...(rest > 0 ? [element("p", { class: "dupkit-muted", text: `and ${countInWords(rest)} more` })] : []),
    );
    this.panel.hidden = false;
    this.panel.scrollIntoView({ block: "nearest" });
  }

  async importCsv() {
    const [file] = this.upload.files;
    if (!file) return;
    const bytes = await file.arrayBuffer();
    this.upload.value = "";
    await this.run("import", `Reading ${file.name} …`, { file: bytes });
  }
}
