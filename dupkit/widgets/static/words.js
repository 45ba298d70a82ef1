/* Numbers, sizes and places as words; the element builder. Data reaches the page through text nodes only. */

const COUNT = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const DECIMAL = new Intl.NumberFormat("en-US", { maximumFractionDigits: 2 });

/** Return a whole number with thousands separators. */
function countInWords(n) {
  return COUNT.format(n);
}

/** Return a distance: whole from 100 on, with decimals below, where duplicates live. */
function distanceInWords(rms) {
  return rms >= 100 ? COUNT.format(rms) : DECIMAL.format(rms);
}

/** Return a size in powers of 1,000, as report/plots.py words it. */
function bytesInWords(size) {
  let value = size;
  let unit = "B";
  for (const larger of ["kB", "MB", "GB", "TB"]) {
    if (value < 999.5) break;
    value /= 1000;
    unit = larger;
  }
  return `${unit === "B" || value >= 9.95 ? value.toFixed(0) : value.toFixed(1)} ${unit}`;
}

/**
 * Return a new element.
 *
 * `attributes`: `class`, `text` (its only text), `on` (event name -> function), the rest as attributes; true is an
 * empty attribute, false, null and undefined are none. Children are elements or strings, which become text nodes.
 */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "text") made.textContent = value;
    else if (name === "class") made.className = value;
    else if (name === "on") for (const [event, call] of Object.entries(value)) made.addEventListener(event, call);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Return a button that never submits and is never disabled: pressed at a wrong moment it says why nothing happens. */
function button(name, press, attributes = {}) {
  return element("button", { type: "button", class: "dupkit-button", text: name, on: { click: press }, ...attributes });
}

/** Return a select element over [value, words] choices. */
function choice(label, choices, change) {
  const select = element("select", { "aria-label": label, title: label, class: "dupkit-select" });
  fillChoice(select, choices);
  select.addEventListener("change", () => change(select.value));
  return select;
}

/** Put [value, words] choices into a select element, keeping what is chosen where it is still there. */
function fillChoice(select, choices) {
  const chosen = select.value;
  select.replaceChildren(...choices.map(([value, words]) => element("option", { value, text: words })));
  if (choices.some(([value]) => value === chosen)) select.value = chosen;
}

/** Return a function that calls `call` once, `wait` milliseconds after its own last call. */
function debounce(call, wait) {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => call(...args), wait);
  };
}
