// Downloads: every table as it is shown (order and filters) as CSV and LaTeX, every plot as SVG, all scores as CSV.
const save = (text, type, name) => {
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
};
const button = (text, title, action) => {
  const made = make("button", { type: "button", className: "export", textContent: text, title });
  made.addEventListener("click", action);
  return made;
};
const fileName = (...parts) => parts.map((part) => part.replace(/[^\p{L}\p{N}._-]+/gu, "-").replace(/^[-.]+|-+$/g, "") || "x").join("-");

// CSV: text that a spreadsheet would read as a formula has an apostrophe in front, as in the files of the toolkit.
const FORMULA = /^'*[=+\-@＝＋－＠\x00-\x1f\x7f]/;
const NUMBERS = /^[+-]?(\d+\.?\d*|\.\d+|inf|nan)([eE][+-]?\d+)?( [+-]?(\d+\.?\d*|\.\d+|inf|nan)([eE][+-]?\d+)?)*$/;
const csvCell = (text) => {
  const safe = FORMULA.test(text) && !NUMBERS.test(text.replace(/^'+/, "")) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};
const csvLines = (lines) => `${lines.map((line) => line.join(",")).join("\n")}\n`;

const LATEX = {
  "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "\\textless{}",
  ">": "\\textgreater{}", "|": "\\textbar{}", '"': "\\textquotedbl{}", "–": "--", "−": "$-$",
};
const latexText = (text) => text.replace(/[\\~^<>|"–−&%$#_{}]/g, (c) => LATEX[c] ?? `\\${c}`);

// A table as it is shown: headings, and cells with all that a format may want of them.
const readCell = (cell) => {
  const interval = cell.querySelector(".ci");
  return {
    text: textOf(cell),
    exact: cell.dataset.sort,
    ends: interval ? [interval.dataset.low, interval.dataset.high] : null,
    only: cell.classList.contains("interval"),
    left: cell.tagName === "TH" || cell.classList.contains("text"),
    style: ["best", "second"].find((name) => cell.classList.contains(name)),
    tied: cell.querySelector(".tied") !== null,
    seen: cell.querySelector(".seen") !== null,
    interval: interval?.textContent.trim() ?? "",
  };
};
const visible = (row) => [...row.cells].filter((cell) => !cell.hidden);
const readTable = (table) => ({
  headings: visible(table.tHead.rows[0]).map(textOf),
  rows: [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => visible(row).map(readCell)),
});

const tableCsv = (table) => {
  const { headings, rows } = readTable(table);
  const spread = headings.map((_, k) => rows.some((row) => row[k].ends));
  const only = headings.map((_, k) => rows.some((row) => row[k].only));
  const line = (value, low, high, k) => [...(only[k] ? [] : [value]), ...(spread[k] ? [low, high] : [])];
  const head = headings.flatMap((name, k) => line(name, `${name} low`, `${name} high`, k));
  const body = rows.map((row) =>
    row.flatMap((cell, k) => line(cell.exact ?? cell.text, cell.ends?.[0] ?? "", cell.ends?.[1] ?? "", k)),
  );
  return csvLines([head, ...body].map((cells) => cells.map(csvCell)));
};

const latexCell = (cell) => {
  const ends = cell.interval ? `[${latexText(cell.interval).replace(" to ", ", ").replace(/(^|, )-/g, "$1$-$$")}]` : "";
  if (cell.only) return ends || "--";
  const text = latexText(cell.text).replace(/^-(?=[\d.])/, "$-$$");
  const styled = { best: `\\textbf{${text}}`, second: `\\underline{${text}}` }[cell.style] ?? text;
  return `${styled}${cell.seen ? "$^*$" : ""}${cell.tied ? "$^\\dagger$" : ""}${ends ? ` {\\footnotesize ${ends}}` : ""}`;
};

const tableLatex = (table) => {
  const { headings, rows } = readTable(table);
  const columns = headings.map((_, k) => (rows.some((row) => row[k].left) ? "l" : "r")).join("");
  const cells = rows.flat();
  const notes = [
    "needs \\usepackage{booktabs}",
    cells.some((cell) => cell.style) && "bold: best, underlined: second best",
    cells.some((cell) => cell.tied) && "dagger: best, or not significantly below it",
    cells.some((cell) => cell.seen) && "asterisk: the metric was trained on this data set",
    ...all("footer > p").map(textOf),
  ];
  return [
    `\\begin{tabular}{${columns}}`,
    "\\toprule",
    `${headings.map(latexText).join(" & ")} \\\\`,
    "\\midrule",
    ...rows.map((row) => `${row.map(latexCell).join(" & ")} \\\\`),
    "\\bottomrule",
    "\\end{tabular}",
    ...notes.filter(Boolean).map((line) => `% ${line}`),
    "",
  ].join("\n");
};

const nameOfTable = (table) => {
  const set = table.closest("[data-dataset]")?.dataset.dataset;
  return fileName(...(set ? [set] : []), table.id.replace(/^set\d+-/, "").replace(/-cells$/, ""));
};

for (const table of all("table[id]")) {
  const name = nameOfTable(table);
  table.parentElement.after(
    make(
      "div",
      { className: "exports" },
      button("CSV", `${name} as shown, numbers in full`, () => save(tableCsv(table), "text/csv", `${name}.csv`)),
      button("LaTeX", `${name} as shown, for booktabs`, () => save(tableLatex(table), "text/x-tex", `${name}.tex`)),
    ),
  );
}

// A plot by itself: in light colours, with what the page says around it.
const STYLES = ["fill", "stroke", "stroke-width", "stroke-opacity", "stroke-linecap", "font-size"];
const svgText = (svg, facts, text) => {
  const made = svgNode(svg, "text", { "font-size": 9.5, fill: "#333", ...facts });
  made.textContent = text;
  return made;
};

const legendOf = (plot, copy, width) => {
  let [x, y] = [plot.svg.viewBox.baseVal.x, plot.svg.viewBox.baseVal.height + 30];
  const lines = [];
  for (const key of all(".legend .key", plot.figure.closest("details"))) {
    const mark = key.querySelector("i");
    const text = textOf(key);
    const length = 6 * text.length + 8;
    if (x > 0 && x + length > width) [x, y] = [0, y + 12];
    const line = svgText(copy, { x, y }, text);
    line.setAttribute("fill", getComputedStyle(mark).color);
    lines.push(line);
    x += length;
  }
  return [lines, lines.length ? y : plot.svg.viewBox.baseVal.height + 18];
};

const plotSvg = (plot) => {
  document.documentElement.dataset.theme = "light";
  const copy = plot.svg.cloneNode(true);
  const originals = all("*", plot.svg);
  all("*", copy).forEach((node, k) => {
    const style = getComputedStyle(originals[k]);
    for (const name of STYLES) node.setAttribute(name, style.getPropertyValue(name));
    node.removeAttribute("class");
  });
  all("circle", copy).forEach((circle) => circle.remove());
  const { width } = plot.svg.viewBox.baseVal;
  const [lines, height] = legendOf(plot, copy, width);
  delete document.documentElement.dataset.theme;
  const [caption, across] = [plot.figure.querySelector("figcaption"), plot.figure.querySelector("figure > small")].map(textOf);
  const axis = textOf(plot.figure.closest("details").querySelector(".legend")).match(/^Up: (.*?); across/)?.[1] ?? "";
  const middle = svgNode(copy, "g", {});
  middle.append(
    svgText(copy, { x: width / 2, y: -6, "text-anchor": "middle" }, caption),
    svgText(copy, { x: width / 2, y: plot.svg.viewBox.baseVal.height + 12, "text-anchor": "middle" }, across.replace(/^across: /, "")),
    svgText(copy, { x: -4, y: plot.svg.viewBox.baseVal.height / 2, "text-anchor": "middle", transform: `rotate(-90 -4 ${plot.svg.viewBox.baseVal.height / 2})` }, axis),
    ...lines,
  );
  copy.append(middle);
  const box = [-16, -20, width + 20, height + 26];
  copy.prepend(svgNode(copy, "rect", { x: box[0], y: box[1], width: box[2], height: box[3], fill: "#fff" }));
  for (const name of ["tabindex", "data-x", "data-y", "data-box"]) copy.removeAttribute(name);
  for (const [name, value] of Object.entries({ viewBox: box.join(" "), width: 2 * box[2], height: 2 * box[3], "font-family": "sans-serif" })) copy.setAttribute(name, value);
  return `${new XMLSerializer().serializeToString(copy)}\n`;
};

for (const plot of plots) {
  const name = fileName(plot.set.dataset, plot.metric.name);
  const made = button("SVG", `the plot of ${plot.metric.name}`, () => save(plotSvg(plot), "image/svg+xml", `${name}.svg`));
  plot.figure.append(made);
}

// Scores of all dots, in the columns that causaliqa report reads.
const scoresCsv = () => {
  const lines = [["dataset", "metric", "ref", "dist", "label", "type", "label_lower_better", "label_name", "lower_better", "score"]];
  const flag = (value) => (value ? "True" : "False");
  for (const set of pointSets.values()) {
    for (const { name, lower_better, scores } of set.metrics) {
      scores.forEach((score, k) => {
        if (Number.isNaN(score)) return;
        const pair = [set.refOf(k), set.imageOf(k), String(set.labels[k]), set.typeOf(k)];
        lines.push([set.dataset, name, ...pair, flag(set.label_lower_better), set.label_name, flag(lower_better), String(score)]);
      });
    }
  }
  return csvLines(lines.map((cells) => cells.map(csvCell)));
};

if (filters) {
  const tools = filters.querySelector(".tools");
  document.getElementById("download").addEventListener("click", () => {
    const numbers = JSON.parse(document.getElementById("numbers").textContent);
    save(JSON.stringify(numbers, null, 2), "application/json", "leaderboard.json");
  });
  if (pointSets.size) tools.append(button("Scores as CSV", "the scores of all dots of the plots", () => save(scoresCsv(), "text/csv", "scores.csv")));
}
