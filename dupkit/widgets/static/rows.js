/* Rows of the list: a pair, or a group with its keeper; grey squares stand until thumbnails arrive. */

/** Return a row that has not arrived yet. */
function waitingRow(n_thumbnails) {
  return [...Array.from({ length: n_thumbnails }, () => element("span", { class: "dupkit-thumb" })), element("span", { class: "dupkit-row-words dupkit-muted", text: "…" })];
}

function tag(words, kind = "") {
  return element("span", { class: `dupkit-tag${kind ? ` dupkit-${kind}` : ""}`, text: words });
}

/** Return the inside of a pair's row. */
function pairRow(row, pictures) {
  const marks = [row.proposed ? tag("by structure", "proposed") : null, row.decision ? tag(row.decision, row.decision) : null, row.before ? tag(row.before) : null];
  return [
    pictures.thumbnail(row.image_a, 3),
    pictures.thumbnail(row.image_b, 3),
    element(
      "span",
      { class: "dupkit-row-words" },
      element("span", { class: "dupkit-row-name" }, element("strong", { text: distanceInWords(row.rms) }), ` ${row.verdict}`),
      element("span", { class: "dupkit-row-more" }, ...marks, element("span", { class: "dupkit-row-file", text: row.name })),
    ),
  ];
}

/** Return the inside of a group's row. */
function groupRow(row, pictures) {
  const shown = row.images.slice(0, 3);
  const further = row.n_images - shown.length;
  const decided = row.n_decided === 0 ? null : tag(row.n_decided === row.n_pairs ? "decided" : `${countInWords(row.n_decided)} of ${countInWords(row.n_pairs)} decided`, row.n_decided === row.n_pairs ? "approved" : "");
  return [
    element("span", { class: `dupkit-pile dupkit-pile-${further ? "more" : shown.length}` }, ...shown.map((image) => pictures.thumbnail(image, 3)), further ? element("span", { class: "dupkit-muted", text: `+${countInWords(further)}` }) : null),
    element(
      "span",
      { class: "dupkit-row-words" },
      element("span", { class: "dupkit-row-name" }, element("strong", { text: `${countInWords(row.n_images)} pictures` }), ` · ${bytesInWords(row.n_bytes)} to move`),
      element("span", { class: "dupkit-row-file", text: `keep ${row.keeper.split("/").at(-1)}: ${row.reason}` }),
      element("span", { class: "dupkit-row-more" }, `RMS up to ${distanceInWords(row.largest_rms)}`, row.chain ? tag("chain", "chain") : null, decided),
    ),
  ];
}

/** Return what a screen reader and the pointer's rest say of a row. */
function rowTitle(row) {
  if (row.group === undefined) return `${row.path_a}\n${row.path_b}`;
  return `Keeper: ${row.keeper} (${row.reason})\n${countInWords(row.n_files)} files would move${row.chain ? "\nA chain: two of its pictures are tied only by others" : ""}`;
}
