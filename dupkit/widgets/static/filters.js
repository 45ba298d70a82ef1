/* What the list shows and in which order: pairs or groups, sort, filters; one line says which filters are on. */

class Filters {
  constructor(page) {
    this.page = page;
    const { facts } = page;
    const filter = (name, label, choices) => choice(label, choices, (value) => page.show({ filters: { [name]: value } }));
    this.kinds = [["", "Pairs"], ["bytes", "Groups"]].map(([grouping, words]) => button(words, () => this.setKind(grouping !== ""), { class: "dupkit-link", "aria-pressed": "false", title: `List of ${words.toLowerCase()} (P changes)` }));
    this.order = choice("Sort pairs by", facts.orders, (order) => page.show({ order }));
    this.grouping = choice("Sort groups by", facts.groupings, (grouping) => page.show({ grouping }));
    this.selects = {
      show: filter("show", "Pairs to show", facts.shown),
      decision: filter("decision", "Show pairs by decision", facts.decision_filters),
      verdict: filter("verdict", "Show pairs by verdict", facts.verdict_filters),
      size: filter("size", "Show pairs by size of the smaller file", facts.sizes),
    };
    this.fields = {
      folder: this.field("folder", "Show pairs in folder", { type: "search", placeholder: "any folder", list: `${page.name}-folders` }),
      name: this.field("name", "Show pairs whose path contains", { type: "search", placeholder: "any name" }),
      rms_from: this.field("rms_from", "Show pairs from RMS", { type: "number", min: 0, step: "any", placeholder: "from" }),
      rms_to: this.field("rms_to", "Show pairs up to RMS", { type: "number", min: 0, step: "any", placeholder: "up to" }),
    };
    this.clear = button("clear", () => page.show({ filters: { ...this.none(), show: this.selects.show.value } }), { class: "dupkit-link", "aria-label": "Clear the filters", hidden: true });
    this.words = element("summary", { text: "filters" });
    this.more = element(
      "details",
      { class: "dupkit-more-filters" },
      this.words,
      element(
        "div",
        { class: "dupkit-filter-grid" },
        element("datalist", { id: `${page.name}-folders` }, ...facts.folders.map((folder) => element("option", { value: folder }))),
        this.fields.folder,
        this.fields.name,
        this.selects.verdict,
        this.selects.decision,
        this.selects.size,
        element("span", { class: "dupkit-range" }, "RMS ", this.fields.rms_from, " – ", this.fields.rms_to),
      ),
    );
    this.node = element(
      "div",
      { class: "dupkit-filters", role: "group", "aria-label": "What the list shows" },
      element("div", { class: "dupkit-kinds" }, ...this.kinds, this.order, this.grouping),
      this.selects.show,
      element("div", { class: "dupkit-filter-row" }, this.more, this.clear),
    );
  }

  field(name, label, attributes) {
    const node = element("input", { "aria-label": label, title: label, class: "dupkit-search", ...attributes });
    node.addEventListener("input", debounce(() => this.page.show({ filters: { [name]: node.value } }, false), 250));
    node.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === "Escape") this.page.focus();
    });
    return node;
  }

  none() {
    return Object.fromEntries([...Object.keys(this.selects), ...Object.keys(this.fields)].map((name) => [name, name === "show" ? "below" : ""]));
  }

  setKind(groups) {
    if (groups === Boolean(this.page.status.grouping)) return this.page.focus();
    return this.page.show({ grouping: groups ? this.lastGrouping ?? "bytes" : "" });
  }

  /** Open the filters and go to the first field: type, Tab to the next, Enter goes back to the keys. */
  open() {
    this.more.open = true;
    this.fields.folder.focus();
  }

  update(status) {
    const { grouping, filters } = status;
    if (grouping) this.lastGrouping = grouping;
    this.kinds.forEach((kind, i) => kind.setAttribute("aria-pressed", String(Boolean(grouping) === (i === 1))));
    this.order.hidden = Boolean(grouping);
    this.grouping.hidden = !grouping;
    this.order.value = status.order;
    this.grouping.value = grouping || "bytes";
    for (const [name, select] of Object.entries(this.selects)) select.value = filters[name] ?? "";
    for (const [name, field] of Object.entries(this.fields)) if (document.activeElement !== field) field.value = filters[name] ?? "";
    const { n_by_structure: proposed, n_pairs: all, shown } = this.page.facts;
    const n = { below: status.counts.pairs, structure: proposed, all };
    fillChoice(this.selects.show, shown.map(([value, words]) => [value, `${words} (${countInWords(n[value])})`]));
    const on = this.inWords(filters);
    this.words.textContent = on.length ? `filters: ${on.join(", ")}` : "filters";
    this.clear.hidden = !on.length;
  }

  inWords(filters) {
    const chosen = ["verdict", "decision", "size"].filter((name) => filters[name]).map((name) => this.selects[name].selectedOptions[0]?.textContent ?? filters[name]);
    if (filters.folder) chosen.unshift(`in ${filters.folder}`);
    if (filters.chosen) chosen.unshift(`the ${filters.chosen} that teach most`);
    if (filters.name) chosen.push(`named ${filters.name}`);
    const { rms_from: from, rms_to: to } = filters;
    if (from || to) chosen.push(`RMS ${from ? `from ${from}` : ""}${from && to ? " " : ""}${to ? `up to ${to}` : ""}`);
    return chosen;
  }
}
