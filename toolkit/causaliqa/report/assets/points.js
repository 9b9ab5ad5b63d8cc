// Dots: hover, touch or arrow keys name the image and mark it in every plot of the data set; a click or Enter shows the
// pair where its pictures are on the page.
const unpack = (text) => {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float64Array.from({ length: bytes.length / 8 }, (_, k) => view.getFloat64(8 * k, true));
};

const readPoints = () => {
  const embedded = document.getElementById("points");
  const sets = new Map();
  for (const set of embedded ? JSON.parse(embedded.textContent) : []) {
    const column = (name) => (k) => set[name].names[set[name].of[k]];
    sets.set(set.dataset, {
      ...set,
      refOf: column("ref"),
      imageOf: column("dist"),
      typeOf: column("type"),
      labels: unpack(set.labels),
      metrics: set.metrics.map((metric) => ({ ...metric, scores: unpack(metric.scores) })),
    });
  }
  return sets;
};

const pointSets = readPoints();
const short = (number) => String(Number(number.toPrecision(5)));
const svgNode = (svg, tag, facts) => {
  const made = document.createElementNS(svg.namespaceURI, tag);
  for (const [name, value] of Object.entries(facts)) made.setAttribute(name, value);
  return made;
};

// Places of the dots of one plot, in the units of its drawing.
const plotOf = (figure) => {
  const svg = figure.querySelector("svg");
  const set = pointSets.get(figure.closest("section").dataset.dataset);
  const metric = set?.metrics.find((one) => one.name === figure.dataset.metric);
  if (!metric) return null;
  const [[x0, x1], [y0, y1], [left, right, top, bottom]] = ["x", "y", "box"].map((name) => svg.dataset[name].split(" ").map(Number));
  const x = metric.scores.map((score) => left + ((score - x0) / (x1 - x0)) * (right - left));
  const y = set.labels.map((label) => bottom - ((label - y0) / (y1 - y0)) * (bottom - top));
  const order = [...x.keys()].filter((k) => Number.isFinite(x[k]) && Number.isFinite(y[k])).sort((a, b) => x[a] - x[b]);
  const ring = svgNode(svg, "circle", { class: "ring", r: 4.5, visibility: "hidden" });
  svg.append(ring);
  return { figure, svg, set, metric, x, y, order, ring };
};

const plots = all("figure.panel").map(plotOf).filter(Boolean);
const tip = make("div", { id: "tip", role: "status", hidden: true });
document.body.append(tip);
let current = null; // [plot, image]

const nearest = (plot, event) => {
  const box = plot.svg.getBoundingClientRect();
  const scale = plot.svg.viewBox.baseVal.width / box.width;
  const [px, py] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  let [best, found] = [14 ** 2, null];
  for (const k of plot.order) {
    const distance = (plot.x[k] - px) ** 2 + (plot.y[k] - py) ** 2;
    if (distance < best) [best, found] = [distance, k];
  }
  return found;
};

// Pairs with pictures, by data set, reference and image.
const pairKey = (set, ref, image) => JSON.stringify([set, ref, image]);
const pairs = new Map();
for (const figure of all("figure.pair")) {
  const { ref, image } = figure.dataset;
  if (figure.querySelector("img")) pairs.set(pairKey(figure.closest("[data-dataset]").dataset.dataset, ref, image), figure);
}
const pairFigure = (set, image) => pairs.get(pairKey(set.dataset, set.refOf(image), set.imageOf(image)));

const placeTip = (plot, image) => {
  const box = plot.svg.getBoundingClientRect();
  const scale = box.width / plot.svg.viewBox.baseVal.width;
  const [x, y] = [box.left + plot.x[image] * scale, box.top + plot.y[image] * scale];
  const [width, height] = [tip.offsetWidth, tip.offsetHeight];
  tip.style.left = `${Math.max(4, Math.min(x - width / 2, document.documentElement.clientWidth - width - 4))}px`;
  tip.style.top = `${y - height - 12 > 4 ? y - height - 12 : y + 14}px`;
};

const showPoint = (plot, image) => {
  current = [plot, image];
  const { set, metric } = plot;
  const name = set.imageOf(image) || `image ${image + 1}`;
  const facts = `${metric.name} ${short(metric.scores[image])}, ${set.label_name || "label"} ${short(set.labels[image])}`;
  const type = set.typeOf(image);
  const lines = [make("b", { textContent: name }), make("span", { textContent: facts })];
  if (type) lines.push(make("span", { textContent: type }));
  if (pairFigure(set, image)) lines.push(make("span", { className: "hint", textContent: "click or Enter: the pair" }));
  tip.replaceChildren(...lines);
  tip.hidden = false;
  placeTip(plot, image);
  for (const other of plots) {
    const there = other.set === set && Number.isFinite(other.x[image]) && Number.isFinite(other.y[image]);
    other.ring.setAttribute("visibility", there ? "visible" : "hidden");
    if (!there) continue;
    other.ring.setAttribute("cx", other.x[image]);
    other.ring.setAttribute("cy", other.y[image]);
  }
};

const hidePoint = () => {
  current = null;
  tip.hidden = true;
  for (const plot of plots) plot.ring.setAttribute("visibility", "hidden");
};

// The pair, side by side.
const dialog = make("dialog", { id: "pair" });
document.body.append(dialog);
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());

const openPair = (figure) => {
  const reference = figure.closest(".group").querySelector(".reference");
  const close = make("button", { type: "button", textContent: "Close" });
  close.addEventListener("click", () => dialog.close());
  const copies = [reference, figure].map((part) => part.cloneNode(true));
  for (const copy of copies) copy.removeAttribute("tabindex");
  for (const cost of copies[1].querySelectorAll("details")) cost.open = true;
  dialog.replaceChildren(make("div", { className: "side" }, ...copies), close);
  dialog.setAttribute("aria-label", `${figure.dataset.image} beside its reference`);
  dialog.showModal();
};

const openCurrent = () => {
  const figure = current && pairFigure(current[0].set, current[1]);
  if (figure) openPair(figure);
};

const stepBy = (plot, step) => {
  const at = current?.[0] === plot ? plot.order.indexOf(current[1]) : -1;
  const next = at < 0 ? (step > 0 ? 0 : plot.order.length - 1) : Math.max(0, Math.min(at + step, plot.order.length - 1));
  if (plot.order.length) showPoint(plot, plot.order[next]);
};

const onKey = (plot) => (event) => {
  const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
  if (step) stepBy(plot, event.shiftKey ? 10 * step : step);
  else if (event.key === "Enter") openCurrent();
  else if (event.key === "Escape") hidePoint();
  else return;
  event.preventDefault();
};

for (const plot of plots) {
  const { svg } = plot;
  svg.setAttribute("tabindex", "0");
  svg.setAttribute("aria-label", `${svg.getAttribute("aria-label")}; arrow keys go from image to image`);
  const follow = (event) => {
    const found = nearest(plot, event);
    if (found === null) hidePoint();
    else showPoint(plot, found);
  };
  svg.addEventListener("pointermove", follow);
  svg.addEventListener("click", (event) => (follow(event), openCurrent()));
  svg.addEventListener("pointerleave", hidePoint);
  svg.addEventListener("blur", hidePoint);
  svg.addEventListener("keydown", onKey(plot));
}
addEventListener("scroll", () => current && placeTip(...current), { passive: true });

for (const figure of pairs.values()) {
  figure.tabIndex = 0;
  figure.setAttribute("role", "button");
  figure.addEventListener("click", (event) => event.target.closest("details") || openPair(figure));
  figure.addEventListener("keydown", (event) => event.key === "Enter" && openPair(figure));
}

// Dots whose pair can be shown have a small circle.
for (const plot of plots) {
  for (const k of plot.order) {
    if (pairFigure(plot.set, k)) plot.svg.append(svgNode(plot.svg, "circle", { class: "shown", r: 3.6, cx: plot.x[k], cy: plot.y[k] }));
  }
}
