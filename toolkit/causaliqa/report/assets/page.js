"use strict";

// Sort: a click on a heading; numbers as numbers, largest first; what is missing stays last.
const place = (row, column) => {
  const cell = row.cells[column];
  const given = cell.dataset.sort;
  if (given === undefined) return cell.textContent.trim();
  return given === "" ? null : Number(given);
};

const compare = (a, b) =>
  typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });

const sortBy = (heading) => {
  const table = heading.closest("table");
  const body = table.tBodies[0];
  const column = heading.cellIndex;
  const rows = [...body.rows];
  const before = heading.getAttribute("aria-sort");
  const numeric = rows.some((row) => typeof place(row, column) === "number");
  const first = numeric ? "descending" : "ascending";
  const second = numeric ? "ascending" : "descending";
  const order = before === first ? second : first;
  for (const other of heading.parentElement.querySelectorAll("[aria-sort]")) other.setAttribute("aria-sort", "none");
  heading.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  rows.sort((a, b) => {
    const [x, y] = [place(a, column), place(b, column)];
    if (x === null || y === null) return (x === null) - (y === null);
    return sign * compare(x, y);
  });
  body.append(...rows);
};

for (const heading of document.querySelectorAll("th[aria-sort]")) {
  heading.querySelector("button").addEventListener("click", () => sortBy(heading));
}

// Filter: by data set, and by words of which a metric's name holds any.
const filters = document.getElementById("filters");
if (filters) {
  const dataset = document.getElementById("dataset");
  const words = document.getElementById("metrics");
  const items = document.querySelectorAll("[data-dataset], [data-metric]");
  const names = new Set([...document.querySelectorAll("tr[data-metric]")].map((row) => row.dataset.metric));
  const apply = () => {
    const wanted = words.value.toLowerCase().split(/[\s,]+/).filter(Boolean);
    const fits = (name) => !wanted.length || wanted.some((word) => name.toLowerCase().includes(word));
    for (const item of items) {
      const { dataset: set, metric } = item.dataset;
      item.hidden = (set !== undefined && dataset.value !== "" && set !== dataset.value) || (metric !== undefined && !fits(metric));
    }
    const shown = [...names].filter(fits).length;
    document.getElementById("shown").textContent = shown < names.size ? `${shown} of ${names.size} metrics` : "";
  };
  filters.addEventListener("submit", (event) => event.preventDefault());
  dataset.addEventListener("change", apply);
  words.addEventListener("input", apply);
  document.getElementById("download").addEventListener("click", () => {
    const numbers = JSON.parse(document.getElementById("numbers").textContent);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify(numbers, null, 2)], { type: "application/json" }));
    link.download = "leaderboard.json";
    link.click();
    URL.revokeObjectURL(link.href);
  });
  filters.hidden = false;
  // A browser keeps what was typed when a page is loaded again.
  apply();
}

// Print everything, also what is folded.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  for (const part of folded) part.open = true;
});
addEventListener("afterprint", () => {
  for (const part of folded) part.open = false;
});
