// The page's own script: draws the figures that Python made, in the page's colours, and lets the reader choose.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const NARROW = 600, WIDE = 900;
const FOLDED = 12, UNFOLDED = 8; // a legend with more entries than the one shows as many as the other at first
const CONFIG = { displayModeBar: false, displaylogo: false, doubleClick: false, showTips: false };

const read = (where, name) => JSON.parse(where.querySelector(`script.${name}`).textContent);

/** An element with attributes and children; whatever is text stays text. */
function make(name, attributes = {}, ...children) {
  const element = name === "svg" || attributes.svg ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (key !== "svg") element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// Colours: figures name CSS variables, Plotly needs their values.

function painted(given, style) {
  if (typeof given === "string") return given.startsWith("var(") ? style.getPropertyValue(given.slice(4, -1)).trim() : given;
  if (Array.isArray(given)) return typeof given.at(-1) === "number" ? given.slice() : given.map((one) => painted(one, style));
  if (given === null || typeof given !== "object") return given;
  return Object.fromEntries(Object.entries(given).map(([key, value]) => [key, painted(value, style)]));
}

/** Objects merged key by key; the later one wins. */
function merged(one, other) {
  const result = { ...one };
  for (const [key, value] of Object.entries(other)) {
    const deep = value && typeof value === "object" && !Array.isArray(value) && result[key];
    result[key] = deep ? merged(result[key], value) : value;
  }
  return result;
}

// Signs of the legend, as small drawings.

const SIGNS = {
  circle: "M14 4a4 4 0 1 1 0 8a4 4 0 1 1 0-8z", square: "M10 4h8v8h-8z", diamond: "M14 3l5 5-5 5-5-5z",
  "triangle-up": "M14 3l5 9H9z", "triangle-down": "M14 13l5-9H9z", pentagon: "M14 3l5 4-2 6h-6l-2-6z",
  hexagon: "M14 3l5 3v4l-5 3-5-3V6z", star: "M14 2l2 4 4 .5-3 3 .8 4.5-3.8-2-3.8 2 .8-4.5-3-3 4-.5z",
};
const DASHES = { dash: "5 3", dot: "2 2", dashdot: "5 2 2 2", longdash: "8 3" };
const ICONS = {
  dots: ["M5 8h.01M14 5h.01M22 10h.01", { "stroke-width": 4, "stroke-linecap": "round" }],
  line: ["M1 11L10 6l8 3 9-5", { "stroke-width": 2 }],
  band: ["M1 8h26", { "stroke-width": 12, opacity: 0.3 }],
  tie: ["M2 8h24", { "stroke-width": 6, opacity: 0.6 }],
  fitted: ["M2 8h24M14 2v12", { "stroke-width": 1.8 }],
  lost: ["M10 4l8 8M18 4l-8 8", { "stroke-width": 2.5 }],
  dropped: ["M14 5a3 3 0 1 1 0 6a3 3 0 1 1 0-6z", { "stroke-width": 1.6 }],
  above: ["M14 4l5 8H9z", { fill: "currentColor" }],
  below: ["M14 12l5-8H9z", { fill: "currentColor" }],
  wall: ["M2 2h24v12H2z", { fill: "var(--shade)", stroke: "var(--rule)" }],
};

const CALLED = {
  dots: "dots:", line: "line:", band: "band:", tie: "thick line:", fitted: "tick:", lost: "×", dropped: "○", above: "▲", below: "▼", wall: "grey:",
};

function icon(path, more) {
  const svg = make("svg", { width: 28, height: 16, viewBox: "0 0 28 16", "aria-hidden": "true" });
  for (const [d, how] of [].concat(path)) {
    svg.append(make("path", { svg: 1, d, fill: "none", stroke: "currentColor", ...how, ...more }));
  }
  return svg;
}

function swatch(key) {
  const line = ["M1 8h26", { stroke: key.colour, "stroke-width": 2.5, "stroke-dasharray": DASHES[key.dash] || "none" }];
  return icon(SIGNS[key.sign] ? [line, [SIGNS[key.sign], { fill: key.colour, stroke: "none" }]] : [line]);
}

// Figures.

function figure(element) {
  const variants = read(element, "variants");
  const canvas = element.querySelector(".canvas");
  const state = { at: 0, off: [], layers: [] };

  function start(at) {
    const own = variants[at];
    state.at = at;
    state.off = new Set(own.legend.filter((key) => !key.on).map((key) => key.group));
    state.layers = new Set(own.marks.filter((mark) => !mark.on).map((mark) => mark.layer));
    element.querySelector("h3").textContent = own.title;
    canvas.setAttribute("aria-label", own.words);
    element.querySelector(".note").textContent = own.note;
    switches(element.querySelector(".legend"), own.legend.map((key) => [key.group, key.name, swatch(key)]), state.off);
    switches(element.querySelector(".marks"), own.marks.map((m) => [m.layer, m.name, icon([ICONS[m.icon]])]), state.layers);
    told();
  }

  /** Whether a mark stands for anything that is on. */
  const occurs = (mark) => !mark.groups.length || mark.groups.some((group) => !state.off.has(group));

  function told() {
    const signs = element.querySelector(".marks").children;
    variants[state.at].marks.forEach((mark, i) => { signs[i].hidden = !occurs(mark); });
  }

  /** Buttons that put what they stand for into a set of what is off, and take it out; without a key a mere sign. */
  function switches(where, entries, off) {
    const buttons = entries.map(([key, name, sign]) => {
      if (!key) return make("span", {}, sign, name);
      const button = make("button", { type: "button", "aria-pressed": String(!off.has(key)) }, sign, name);
      button.addEventListener("click", () => {
        if (!off.delete(key)) off.add(key);
        button.setAttribute("aria-pressed", String(!off.has(key)));
        told();
        draw();
      });
      return button;
    });
    where.replaceChildren(...buttons);
    if (buttons.length > FOLDED) where.append(fold(buttons.slice(UNFOLDED)));
  }

  /** Hides what is too much to look at, and returns the button that shows it. */
  function fold(buttons) {
    const more = make("button", { type: "button", class: "more", "aria-expanded": "false" }, `${buttons.length} more`);
    for (const button of buttons) button.hidden = true;
    more.addEventListener("click", () => {
      const shown = more.getAttribute("aria-expanded") === "false";
      for (const button of buttons) button.hidden = !shown;
      more.setAttribute("aria-expanded", String(shown));
      more.textContent = shown ? "fewer" : `${buttons.length} more`;
    });
    return more;
  }

  /** The rows of the strips, by group: each has its own, unless one beyond the last row is on; then all move up. */
  function seated() {
    const { legend, rows } = variants[state.at];
    const on = legend.map((key, number) => [key.group, number]).filter(([group]) => !state.off.has(group));
    if (!rows || on.every(([, number]) => number < rows)) return { up: new Map(), rows };
    return { up: new Map(on.map(([group, number], row) => [group, number - row])), rows: Math.max(rows, on.length) };
  }

  /** What is switched on; names that there is no room for, in a narrow figure or between many rows, are left out. */
  function traces(width) {
    const { up, rows } = seated();
    const crowded = rows > variants[state.at].rows;
    const room = width < NARROW ? "narrow" : width < WIDE ? "middle" : "wide";
    return variants[state.at].data.map((trace) => {
      const fits = trace.mode !== "text" || (trace.meta === room && !crowded);
      const visible = !state.off.has(trace.legendgroup) && !state.layers.has(trace.meta) && fits;
      const by = trace.yaxis === "y2" || trace.yaxis === "y3" ? up.get(trace.legendgroup) || 0 : 0;
      return by ? { ...trace, visible, y: trace.y.map((y) => y + by) } : { ...trace, visible };
    });
  }

  /** The layout, with as many rows in the strips as are taken. */
  function laid(own) {
    const { rows } = seated();
    return rows ? merged(own.layout, { yaxis2: { range: [-rows, 0] }, yaxis3: { range: [-rows, 0] } }) : own.layout;
  }

  function draw() {
    const own = variants[state.at];
    const width = canvas.clientWidth;
    const layout = merged({ ...laid(own), height: own.height, width }, width < NARROW ? own.narrow : {});
    canvas.style.height = `${layout.height}px`;
    const style = getComputedStyle(document.documentElement);
    return Plotly.react(canvas, painted(traces(width), style), painted(layout, style), CONFIG);
  }

  /** The figure as a file: 960 px wide, light, with title and legend, for whatever it will be pasted into. */
  async function save() {
    const own = variants[state.at];
    const probe = document.body.appendChild(make("i", { class: "light" }));
    const style = getComputedStyle(probe);
    const title = wrapped(own.title, 88);
    const marks = wrapped(own.marks.filter((mark) => occurs(mark) && !state.layers.has(mark.layer)).map((mark) => `${CALLED[mark.icon]} ${mark.name}`).join(" · "), 140);
    const small = `<span style="font-size:12px;color:${style.getPropertyValue("--muted")}">${marks.join("<br>")}</span>`;
    const above = 40 + 20 * title.length + 17 * marks.length;
    const layout = merged(laid(own), {
      showlegend: own.legend.length > 0, paper_bgcolor: "var(--paper)", margin: { l: 24, r: 24, t: above, b: 24 },
      title: { text: `${title.join("<br>")}<br>${small}`, x: 0, xref: "paper", y: 1, yref: "container", yanchor: "top", pad: { t: 24 }, font: { size: 17 } },
      legend: { orientation: "h", y: -0.14, yanchor: "top", x: 0, font: { size: 12 } },
    });
    const rows = own.legend.length ? 24 * Math.ceil(own.legend.length / 5) + 16 : 0;
    const size = { width: 960, height: own.height + above + rows };
    const uri = await Plotly.toImage({ data: painted(traces(size.width), style), layout: painted({ ...layout, ...size }, style) }, { format: "svg", ...size });
    probe.remove();
    const file = new Blob([decodeURIComponent(uri.slice(uri.indexOf(",") + 1))], { type: "image/svg+xml" });
    const link = make("a", { href: URL.createObjectURL(file), download: `${element.id}.svg` });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  element.querySelector(".save").addEventListener("click", save);
  start(0);
  return { draw, choose: (at) => { if (at < variants.length) { start(at); draw(); } }, choice: element.dataset.choice };
}

function wrapped(text, most) {
  const lines = [""];
  for (const word of text.split(" ")) {
    if (lines.at(-1).length + word.length > most) lines.push("");
    lines[lines.length - 1] += `${lines.at(-1) ? " " : ""}${word}`;
  }
  const safe = (line) => line.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  return lines.map(safe);
}

// What the reader chooses: a figure and tables that belong to the same choice change together.

function choices(figures) {
  for (const select of document.querySelectorAll(".choice select")) {
    select.addEventListener("change", () => {
      const at = select.selectedIndex;
      for (const one of figures) if (one.choice === select.dataset.choice) one.choose(at);
      for (const part of document.querySelectorAll(`[data-part="${select.dataset.choice}"]`)) part.hidden = Number(part.dataset.at) !== at;
    });
  }
}

// The diagnosis: a grid of cells, one stop for the tab key, arrows within; the evidence of the cell that is looked at.

function diagnosis(grid) {
  const tip = document.body.appendChild(make("div", { class: "tip", hidden: "" }));
  const rows = [...grid.querySelectorAll("tbody tr")].map((row) => [...row.querySelectorAll("button")]);
  const place = new Map(rows.flatMap((row, y) => row.map((cell, x) => [cell, [x, y]])));
  const hide = () => { tip.hidden = true; };

  function show(cell) {
    tip.textContent = cell.getAttribute("aria-label");
    tip.hidden = false;
    const box = cell.getBoundingClientRect();
    const left = Math.min(box.left, document.documentElement.clientWidth - tip.offsetWidth - 8);
    const below = box.bottom + tip.offsetHeight + 12 < window.innerHeight;
    tip.style.left = `${Math.max(8, left) + window.scrollX}px`;
    tip.style.top = `${(below ? box.bottom + 6 : box.top - tip.offsetHeight - 6) + window.scrollY}px`;
  }

  grid.addEventListener("mouseover", (event) => { const cell = event.target.closest("button"); cell ? show(cell) : hide(); });
  grid.addEventListener("mouseleave", hide);
  grid.addEventListener("focusin", (event) => show(event.target));
  grid.addEventListener("focusout", hide);
  grid.addEventListener("click", (event) => { const cell = event.target.closest("button"); if (cell) show(cell); });
  grid.addEventListener("keydown", (event) => {
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] || [0, 0];
    if (event.key === "Escape") hide();
    if (!place.has(event.target) || !(dx || dy)) return;
    const [x, y] = place.get(event.target);
    const row = rows[y + dy];
    const next = row && row[Math.min(Math.max(x + dx, 0), row.length - 1)];
    if (!next) return;
    event.preventDefault();
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
}

// The table of runs.

const SHOWN = 200;

function runs(section) {
  const { columns, n, status } = read(section, "runs");
  const body = section.querySelector("tbody");
  const [filter, only, told] = ["input", "select", "output"].map((name) => section.querySelector(`.filters ${name}`));
  const heads = [...section.querySelectorAll("thead th")];
  const collator = new Intl.Collator("en", { numeric: true });
  const value = (column, i) => (column.texts ? column.texts[column.values[i]] : column.values[i]);
  const written = (column, i) => {
    const one = value(column, i);
    return one === null ? "–" : typeof one === "number" ? number(one) : one;
  };
  const sought = columns.filter((column) => column.searched);
  const searched = Array.from({ length: n }, (_, i) => sought.map((column) => written(column, i).toLowerCase()));
  const sorting = { by: -1, down: false };

  /** Four digits, as a person reads them. */
  function number(one) {
    if (Number.isInteger(one) && Math.abs(one) < 1e9) return String(one);
    const size = Math.abs(one);
    return size >= 1e-4 && size < 1e5 ? String(Number(one.toPrecision(4))) : one.toExponential(2);
  }

  /** What does not exist comes last, up or down. */
  function before(column, i, j) {
    const one = column.order ? column.order[column.values[i]] : value(column, i);
    const other = column.order ? column.order[column.values[j]] : value(column, j);
    if (one === null || other === null) return (one === null) - (other === null);
    const way = typeof one === "number" && typeof other === "number" ? one - other : collator.compare(one, other);
    return sorting.down ? -way : way;
  }

  /** A part that is a number is a whole cell, or 1 would find 0.01; others are anywhere. */
  const found = (cells, part) => cells.some(Number.isNaN(Number(part)) ? (cell) => cell.includes(part) : (cell) => cell !== "" && Number(cell) === Number(part));

  /** How many runs are shown, of those that fit, of all. */
  function counted(fitting) {
    const [shown, fit, all] = [Math.min(fitting, SHOWN), fitting, n].map((one) => one.toLocaleString("en"));
    if (fitting <= SHOWN) return fitting === n ? `${all} runs` : `${fit} of ${all} runs`;
    return fitting === n ? `the first ${shown} of ${all} runs` : `the first ${shown} of ${fit} that fit, of ${all} runs`;
  }

  function show() {
    const parts = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (i) => (!only.value || value(columns[status], i) === only.value) && parts.every((part) => found(searched[i], part));
    const kept = Array.from({ length: n }, (_, i) => i).filter(fits);
    if (sorting.by >= 0) kept.sort((i, j) => before(columns[sorting.by], i, j) || i - j);
    body.replaceChildren(...kept.slice(0, SHOWN).map((i) => make("tr", {}, ...columns.map(
      (column) => make("td", column.right ? { class: "right" } : {}, written(column, i)),
    ))));
    told.textContent = counted(kept.length);
  }

  heads.forEach((head, at) => head.querySelector("button").addEventListener("click", () => {
    sorting.down = sorting.by === at && !sorting.down;
    sorting.by = at;
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", sorting.down ? "descending" : "ascending");
    show();
  }));
  filter.addEventListener("input", show);
  only.addEventListener("change", show);
  show();
}

// Start: the first figure at once, the others one after the other, so that the page can be read meanwhile.

async function begin() {
  const figures = [...document.querySelectorAll("figure.plot")].map(figure);
  const redraw = () => figures.forEach((one) => one.draw());
  choices(figures);
  for (const one of figures) {
    one.draw();
    await new Promise((next) => setTimeout(next));
  }
  const grid = document.querySelector(".grid");
  if (grid) diagnosis(grid);
  const table = document.querySelector("#runs");
  if (table) runs(table);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  const printed = (theme, on) => () => {
    document.documentElement.dataset.theme = theme;
    document.documentElement.classList.toggle("paper", on);
    for (const table of document.querySelectorAll("table")) {
      table.style.zoom = on ? Math.min(1, document.body.clientWidth / (table.offsetWidth || 1)) : "";
    }
    redraw();
  };
  addEventListener("beforeprint", printed("light", true));
  addEventListener("afterprint", printed("", false));
  let width = document.documentElement.clientWidth;
  let waiting = 0;
  addEventListener("resize", () => {
    if (width === document.documentElement.clientWidth) return;
    width = document.documentElement.clientWidth;
    clearTimeout(waiting);
    waiting = setTimeout(redraw, 120);
  });
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
}

begin();
