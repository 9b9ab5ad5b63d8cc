"use strict";

// What is shown: the order of every table, and what the filters leave. All of it is in the address, so that a link or
// the back button restores it: ?set=DATASET&find=WORDS&sort=TABLE:HEADING:descending#anchor.
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const make = (tag, facts = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), facts);
  made.append(...children);
  return made;
};
const SIGNS = ".tied, .seen, .warning, .anchor, .scale, .ci, i";
const textOf = (element) => {
  const copy = element.cloneNode(true);
  for (const sign of all(SIGNS, copy)) sign.remove();
  return copy.textContent.trim().replace(/\s+/g, " ");
};

// Sort: a click on a heading; numbers as numbers, largest first (places: smallest first); what is missing stays last.
const valueIn = (row, column) => {
  const cell = row.cells[column];
  const given = cell.dataset.sort;
  if (given === undefined) return cell.textContent.trim();
  return given === "" ? null : Number(given);
};

const compare = (a, b) =>
  typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });

const headingsOf = (table) => all("[aria-sort]", table.tHead);

const sortTable = (heading, order) => {
  const table = heading.closest("table");
  const sign = order === "ascending" ? 1 : -1;
  const rows = [...table.tBodies[0].rows].map((row) => [valueIn(row, heading.cellIndex), row]);
  rows.sort(([x], [y]) => {
    if (x === null || y === null) return (x === null) - (y === null);
    return sign * compare(x, y);
  });
  for (const other of headingsOf(table)) other.setAttribute("aria-sort", "none");
  heading.setAttribute("aria-sort", order);
  table.tBodies[0].append(...rows.map(([, row]) => row));
};

const nextOrder = (heading) => {
  const rows = [...heading.closest("table").tBodies[0].rows];
  const numeric = rows.some((row) => typeof valueIn(row, heading.cellIndex) === "number");
  const first = numeric && heading.textContent.trim() !== "#" ? "descending" : "ascending";
  const second = first === "descending" ? "ascending" : "descending";
  return heading.getAttribute("aria-sort") === first ? second : first;
};

// The order in which Python wrote a table, to come back to.
const written = new Map();
for (const table of all("table")) {
  if (!table.tHead || !headingsOf(table).length) continue;
  written.set(table, [[...table.tBodies[0].rows], headingsOf(table).map((heading) => heading.getAttribute("aria-sort"))]);
}

const restoreOrder = (table) => {
  const [rows, orders] = written.get(table);
  table.tBodies[0].append(...rows);
  headingsOf(table).forEach((heading, k) => heading.setAttribute("aria-sort", orders[k]));
};

const sortedBy = new Map(); // table -> [heading, order], where a reader chose one

// Filter: by data set, and by words of which a metric's name holds any.
const filters = document.getElementById("filters");
const chosenSet = document.getElementById("filter-dataset");
const words = document.getElementById("filter-metrics");
const filtered = all("[data-dataset], [data-metric]");
const metricNames = new Set(all("tr[data-metric]").map((row) => row.dataset.metric));

const applyFilters = () => {
  if (!filters) return;
  const wanted = words.value.toLowerCase().split(/[\s,]+/).filter(Boolean);
  const fits = (name) => !wanted.length || wanted.some((word) => name.toLowerCase().includes(word));
  for (const item of filtered) {
    const { dataset: set, metric } = item.dataset;
    item.hidden = (set !== undefined && chosenSet.value !== "" && set !== chosenSet.value) || (metric !== undefined && !fits(metric));
  }
  const shown = [...metricNames].filter(fits).length;
  document.getElementById("shown").textContent = shown < metricNames.size ? `${shown} of ${metricNames.size} metrics` : "";
};

// The address.
const writeAddress = (how) => {
  const state = new URLSearchParams();
  if (filters && chosenSet.value) state.set("set", chosenSet.value);
  if (filters && words.value.trim()) state.set("find", words.value.trim());
  for (const [table, [heading, order]] of sortedBy) state.append("sort", `${table.id}:${heading.textContent.trim()}:${order}`);
  const query = state.toString();
  const address = `${location.pathname}${query ? `?${query}` : ""}${location.hash}`;
  try {
    history[how](null, "", address);
  } catch {
    // Inside another page, as in a notebook, there is no address of our own.
  }
};

const readAddress = () => {
  const state = new URLSearchParams(location.search);
  if (filters) {
    const set = state.get("set") ?? "";
    chosenSet.value = [...chosenSet.options].some((option) => option.value === set) ? set : "";
    words.value = state.get("find") ?? "";
  }
  applyFilters();
  for (const table of sortedBy.keys()) restoreOrder(table);
  sortedBy.clear();
  for (const asked of state.getAll("sort")) {
    const [, id, name, order] = /^([^:]*):(.*):(ascending|descending)$/s.exec(asked) ?? [];
    const table = id ? document.getElementById(id) : null;
    const heading = written.has(table) ? headingsOf(table).find((cell) => cell.textContent.trim() === name) : undefined;
    if (!heading) continue;
    sortTable(heading, order);
    sortedBy.set(table, [heading, order]);
  }
};

// What a link leads to may be folded.
const unfold = () => {
  const wanted = location.hash ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
  if (!wanted) return;
  for (let part = wanted.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
  wanted.scrollIntoView();
};

for (const table of written.keys()) {
  for (const heading of headingsOf(table)) {
    heading.querySelector("button").addEventListener("click", () => {
      const order = nextOrder(heading);
      sortTable(heading, order);
      sortedBy.set(table, [heading, order]);
      writeAddress("pushState");
    });
  }
}

if (filters) {
  filters.addEventListener("submit", (event) => event.preventDefault());
  chosenSet.addEventListener("change", () => (applyFilters(), writeAddress("pushState")));
  // One entry of the history for a search, not one a letter.
  words.addEventListener("focus", () => (words.dataset.before = words.value));
  words.addEventListener("input", () => {
    const fresh = words.value !== words.dataset.before && words.dataset.before !== undefined;
    applyFilters();
    writeAddress(fresh ? "pushState" : "replaceState");
    if (fresh) delete words.dataset.before;
  });
  filters.hidden = false;
}
addEventListener("popstate", readAddress);
addEventListener("hashchange", unfold);
addEventListener("pageshow", (event) => event.persisted && readAddress());
readAddress();
if (location.hash) unfold();

// Print everything, also what is folded.
let folded = [];
addEventListener("beforeprint", () => {
  folded = all("details:not([open])");
  for (const part of folded) part.open = true;
});
addEventListener("afterprint", () => {
  for (const part of folded) part.open = false;
});
