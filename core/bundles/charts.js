// Charts of statistics. The page holds their values as JSON, and a <figure data-chart="NAME"> for each. This script
// draws them, shows the values under the pointer, offers them as a table, and extends them with each sample that the
// server pushes.
//
// Names are untrusted: they are set as text, never as HTML.

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

const HEIGHT = 190;
// The height of charts narrower than NARROW, as on a phone. Pixels.
const NARROW = 400;
const LOW = 140;
// Lines differ by dashes too, for people who cannot distinguish the colours.
const DASHES = [[], [9, 4], [2, 3], [9, 3, 2, 3]];
const COLOURS = 8;
// After a gap of this many samples, the data are fetched again.
const MISSED = 3;
// All data, with marks and new names, are fetched again after this many milliseconds.
const ASK_EVERY = 300_000;
// A sample that is older than the drawn ones by more than this many seconds is not late: the server's clock was set
// back.
const CLOCK_BACK = 60;

const escaped = (character) =>
  [...Array(character.length).keys()]
    .map((at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`)
    .join("");
const visible = (text) => text.replace(/[^\P{C}\n]|[^\P{Z} ]/gu, escaped);

const element = (name, className, ...children) => {
  const made = document.createElement(name);
  made.className = className;
  made.append(...children);
  return made;
};

const cell = (label, className, content) => {
  const made = element("td", className, content);
  made.dataset.label = visible(label);
  return made;
};

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const colourOf = (place) => `--s-chart-${(place % COLOURS) + 1}`;
const dashOf = (place) => DASHES[place % DASHES.length];

// ---- Formats of values and times.

const digits = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const grouped = (value) => (value >= 1000 ? Math.round(value).toLocaleString("en").replaceAll(",", "\u202f") : digits.format(value));

const inUnits = (value, units) => {
  const [size, name] = units.find(([size]) => value >= size) ?? units.at(-1);
  return `${grouped(value / size)}\u202f${name}`;
};
const SECONDS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"], [0.001, "ms"], [0.000001, "µs"]];
const BYTES = [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"], [1, "B"]];

// Steps of an axis for units in which powers of ten are not round.
const TENS = [-4, -3, -2, -1].flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power));
const STEPS = {
  seconds: [...TENS, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 432000, 864000],
  bytes: Array.from({ length: 44 }, (_, power) => 2 ** power),
};

const shown = (value, unit) => {
  if (value === null || value === undefined) {
    return "—";
  }
  if (value === 0) {
    return "0";
  }
  return unit === "seconds" ? inUnits(value, SECONDS) : unit === "bytes" ? inUnits(value, BYTES) : grouped(value);
};

const iso = (date) => date.toISOString().slice(0, 19).replace("T", " ");
const local = (seconds) => {
  const at = new Date(seconds * 1000);
  return iso(new Date(at.getTime() - at.getTimezoneOffset() * 60000));
};
const utc = (seconds) => `${iso(new Date(seconds * 1000))} UTC`;

// Format a time for an axis: the day at midnight, otherwise the time, with seconds if the steps are below a minute.
const onAxis = (seconds, step) => {
  const text = local(seconds);
  const time = text.slice(11, step < 60 ? 19 : 16);
  return step >= 86400 || /^00:00(:00)?$/.test(time) ? text.slice(5, 10) : time;
};

// ---- One chart.

class Chart {
  constructor(figure, page) {
    this.figure = figure;
    this.page = page;
    this.plot = null;
    this.shape = "";
    this.place = figure.querySelector("[data-plot]");
    this.empty = figure.querySelector("[data-empty]");
    this.legend = element("ul", "s-legend");
    this.time = element("p", "s-legend-time s-quiet");
    this.place.after(this.time, this.legend);
    this.table = figure.querySelector("details");
    this.table.addEventListener("toggle", () => this.fillTable());
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(this.place);
  }

  // Draw this chart from the page's data. A change of its lines needs a new plot.
  draw() {
    this.chart = this.page.data.charts.find((one) => one.name === this.figure.dataset.chart);
    const lines = this.chart.lines;
    this.empty.hidden = lines.length > 0;
    this.table.hidden = lines.length === 0;
    const shape = JSON.stringify(lines.map((line) => line.name));
    if (shape !== this.shape) {
      this.plot?.destroy();
      this.plot = lines.length > 0 ? new uPlot(this.options(), this.columns(), this.place) : null;
      this.shape = shape;
      this.makeLegend();
    } else {
      this.plot?.setData(this.columns());
    }
    this.placeMarks();
    this.tellValues();
    this.fillTable();
  }

  columns() {
    return [this.page.times(), ...this.chart.lines.map((line) => line.values)];
  }

  size() {
    const width = Math.max(this.place.clientWidth, 120);
    return { width, height: width < NARROW ? LOW : HEIGHT };
  }

  options() {
    const unit = this.chart.unit;
    const axis = { stroke: () => colour("--s-chart-text"), grid: { stroke: () => colour("--s-chart-grid"), width: 1 }, ticks: { show: false } };
    return {
      ...this.size(),
      legend: { show: false },
      cursor: { sync: { key: "statistics" }, drag: { x: false, y: false }, points: { size: 6 } },
      scales: { y: { range: (plot, least, most) => [0, this.highest(most) * 1.08 || 1] } },
      axes: [{ ...axis, size: 28, space: 70, values: (plot, times, at, space, step) => times.map((time) => onAxis(time, step)) }, { ...axis, size: 64, ...(STEPS[unit] && { incrs: STEPS[unit] }), values: (plot, values) => values.map((value) => shown(value, unit)) }],
      series: [{}, ...this.chart.lines.map((line, place) => this.line(line, place))],
      hooks: {
        setCursor: [() => this.tellValues()],
        setSize: [() => this.placeMarks()],
        drawClear: [(plot) => this.drawMarks(plot)],
        draw: [(plot) => this.drawLimits(plot)],
      },
    };
  }

  line(line, place) {
    return {
      label: line.name,
      stroke: () => colour(colourOf(place)),
      dash: dashOf(place),
      width: 1.75,
      points: { show: false, size: 4, filter: (plot, at) => alone(plot.data[at]) },
    };
  }

  // A limit far above the values would flatten them, so it is left out here. The text above the chart names it anyway.
  limits(most) {
    return (this.chart.limits ?? []).filter((limit) => limit.value <= 3 * most);
  }

  highest(most) {
    return Math.max(most ?? 0, ...this.limits(most ?? 0).map((limit) => limit.value));
  }

  drawLimits(plot) {
    const context = plot.ctx;
    context.save();
    context.strokeStyle = context.fillStyle = colour("--s-chart-limit");
    context.lineWidth = devicePixelRatio;
    context.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
    context.font = `${11 * devicePixelRatio}px sans-serif`;
    const most = Math.max(0, ...this.chart.lines.flatMap((line) => line.values));
    for (const limit of this.limits(most)) {
      const y = plot.valToPos(limit.value, "y", true);
      context.beginPath();
      context.moveTo(plot.bbox.left, y);
      context.lineTo(plot.bbox.left + plot.bbox.width, y);
      context.stroke();
      context.fillText(limit.name, plot.bbox.left + 4 * devicePixelRatio, y - 4 * devicePixelRatio);
    }
    context.restore();
  }

  drawMarks(plot) {
    const context = plot.ctx;
    context.save();
    context.strokeStyle = colour("--s-chart-mark");
    context.lineWidth = devicePixelRatio;
    context.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
    for (const mark of this.page.marks()) {
      const x = plot.valToPos(mark.at, "x", true);
      context.beginPath();
      context.moveTo(x, plot.bbox.top);
      context.lineTo(x, plot.bbox.top + plot.bbox.height);
      context.stroke();
    }
    context.restore();
  }

  // Place the number of each mark above its line, with the change as a tooltip. The list below the charts has the same
  // texts, also for screen readers.
  placeMarks() {
    if (this.plot === null) {
      return;
    }
    const over = this.plot.over;
    over.querySelectorAll(".s-mark").forEach((old) => old.remove());
    // Marks that would overlap share one sign.
    const signs = [];
    for (const mark of this.page.marks()) {
      const x = this.plot.valToPos(mark.at, "x");
      if (signs.length > 0 && x < signs.at(-1).x + 24) {
        signs.at(-1).marks.push(mark);
      } else {
        signs.push({ x, marks: [mark] });
      }
    }
    signs.forEach(({ x, marks }) => {
      const numbers = marks.map((mark) => mark.number);
      const sign = element("a", "s-mark", marks.length > 1 ? `${numbers[0]}–${numbers.at(-1)}` : String(numbers[0]));
      sign.href = marks[0].url;
      sign.title = marks.map((mark) => visible(`${local(mark.at)}: ${mark.text}`)).join("\n");
      sign.tabIndex = -1;
      sign.setAttribute("aria-hidden", "true");
      sign.style.left = `${x}px`;
      over.append(sign);
    });
  }

  makeLegend() {
    this.values = this.chart.lines.map((line, place) => {
      const sample = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      sample.setAttribute("class", "s-legend-line");
      sample.setAttribute("aria-hidden", "true");
      sample.setAttribute("viewBox", "0 0 24 8");
      const drawn = document.createElementNS("http://www.w3.org/2000/svg", "path");
      drawn.setAttribute("d", "M0 4H24");
      drawn.setAttribute("stroke-dasharray", dashOf(place).join(" "));
      sample.append(drawn);
      sample.style.color = `var(${colourOf(place)})`;
      const value = element("b", "s-number");
      const item = element("li", "", sample, element("span", "s-hostile", visible(line.name)), value);
      return { item, value };
    });
    const further = this.chart.further > 0 ? [element("li", "s-quiet", `and ${this.chart.further} more`)] : [];
    this.legend.replaceChildren(...this.values.map((one) => one.item), ...further);
  }

  // Show the values under the pointer, otherwise the latest.
  tellValues() {
    const lines = this.chart.lines;
    const pointed = this.plot?.cursor.idx;
    const last = this.page.count() - 1;
    const at = pointed ?? last;
    const time = this.page.data.begins + at * this.page.data.step;
    this.time.textContent = lines.length === 0 ? "" : pointed == null ? "latest" : `${local(time)} (${utc(time)})`;
    lines.forEach((line, place) => {
      this.values[place].value.textContent = shown(line.values[at], this.chart.unit);
    });
  }

  fillTable() {
    if (!this.table.open) {
      return;
    }
    const { lines, unit } = this.chart;
    const head = element("tr", "", element("th", "", "Time"), ...lines.map((line) => element("th", "s-right", visible(line.name))));
    const rows = this.page.times().map((time, at) => {
      const moment = element("time", "", local(time));
      moment.dateTime = new Date(time * 1000).toISOString();
      moment.title = utc(time);
      const cells = lines.map((line) => cell(line.name, "s-right s-number", shown(line.values[at], unit)));
      return element("tr", "", cell("Time", "", moment), ...cells);
    });
    const caption = element("caption", "s-unseen", `${this.chart.title}, in ${unit}, the latest first`);
    const table = element("table", "s-table", caption, element("thead", "", head), element("tbody", "", ...rows.reverse()));
    const scroll = element("div", "s-scroll s-chart-values", table);
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", `Values of ${this.chart.title}`);
    this.table.querySelector(".s-chart-values")?.remove();
    this.table.append(scroll);
  }
}

// Find the values between two gaps: they have no line, so they are drawn as points.
const alone = (values) =>
  values.reduce((found, value, at) => {
    if (value != null && values[at - 1] == null && values[at + 1] == null) {
      found.push(at);
    }
    return found;
  }, []);

// ---- All charts of a page, and the pushed samples.

class Page {
  constructor(section) {
    this.section = section;
    this.data = JSON.parse(document.getElementById("chart-data").textContent);
    this.asked = new Set();
    this.isAsking = false;
    this.askedAt = Date.now();
    this.prepare();
    this.charts = [...section.querySelectorAll("[data-chart]")].map((figure) => new Chart(figure, this));
    this.draw();
    window.addEventListener("synapse:sample", (event) => this.take(event.detail));
    // The colours depend on the theme.
    new MutationObserver(() => this.charts.forEach((chart) => chart.plot?.redraw())).observe(document.documentElement, {
      attributeFilter: ["class"],
    });
  }

  prepare() {
    // The last point is incomplete: keep its sum and the seconds sampled so far, from which its rate follows.
    for (const line of this.data.charts.flatMap((chart) => chart.lines)) {
      const last = line.values.at(-1) ?? null;
      line.seconds = last === null ? 0 : this.data.sampled;
      line.sum = line.kind === "counter" ? (last ?? 0) * line.seconds : 0;
    }
  }

  count() {
    return this.data.charts.reduce((most, chart) => Math.max(most, ...chart.lines.map((line) => line.values.length)), 0);
  }

  times() {
    return Array.from({ length: this.count() }, (_, at) => this.data.begins + at * this.data.step);
  }

  marks() {
    const ends = this.data.begins + this.count() * this.data.step;
    return (this.data.marks ?? []).filter((mark) => mark.at >= this.data.begins && mark.at < ends);
  }

  draw() {
    this.charts.forEach((chart) => chart.draw());
  }

  take(sample) {
    const isBack = sample.at < this.data.until - CLOCK_BACK;
    if (document.hidden || (sample.at < this.data.until && !isBack)) {
      return;
    }
    const missed = sample.at - this.data.until >= MISSED * Math.max(sample.step, this.data.resolution);
    if (isBack || missed || !sample.follows) {
      // Samples are missing, Redis lost its data, or the server's clock was set: the lines cannot be extended.
      this.ask();
      return;
    }
    const told = sample.streams[this.data.stream] ?? {};
    if (this.findsUnknown(told) || Date.now() - this.askedAt > ASK_EVERY) {
      this.ask();
    }
    const at = Math.floor((sample.at - this.data.begins) / this.data.step);
    for (const line of this.data.charts.flatMap((chart) => chart.lines)) {
      this.extend(line, told, sample, at);
    }
    // Drop the oldest points, so that the chart keeps its range.
    const most = Math.ceil(this.data.range / this.data.step) + 1;
    const over = this.count() - most;
    if (over > 0) {
      this.data.charts.flatMap((chart) => chart.lines).forEach((line) => line.values.splice(0, over));
      this.data.begins += over * this.data.step;
    }
    this.data.until = sample.at + sample.step;
    this.draw();
  }

  extend(line, told, sample, at) {
    const found = valueOf(line, told);
    if (at >= line.values.length) {
      while (line.values.length < at) {
        line.values.push(null);
      }
      line.values.push(null);
      line.sum = line.seconds = 0;
    }
    if (line.kind === "counter") {
      line.sum += found ?? 0;
      line.seconds += sample.step;
      line.values[at] = line.sum / line.seconds;
      return;
    }
    line.now = found === undefined ? line.now : found;
    if (line.now !== null) {
      line.values[at] = Math.max(line.values[at] ?? 0, line.now);
    }
  }

  // Say whether a sample has a line that is not drawn yet, such as a new reason of refusals. The server has its
  // history.
  findsUnknown(told) {
    let isNew = false;
    for (const chart of this.data.charts) {
      const known = new Set(chart.lines.map(keyOf));
      for (const key of keysOf(chart, told, this.data.group)) {
        const name = `${chart.name} ${key}`;
        if (!known.has(key) && !this.asked.has(name)) {
          this.asked.add(name);
          isNew = true;
        }
      }
    }
    return isNew;
  }

  async ask() {
    if (this.isAsking) {
      return;
    }
    this.isAsking = true;
    this.askedAt = Date.now();
    try {
      const answer = await fetch(location.href, { credentials: "same-origin" });
      const data = answer.ok && !answer.redirected && dataOf(await answer.text());
      if (data) {
        this.data = data;
        this.prepare();
        this.draw();
      }
    } catch {
      // The next sample with an unknown line tries again.
    } finally {
      this.isAsking = false;
    }
  }
}

const dataOf = (html) => {
  const part = new DOMParser().parseFromString(html, "text/html").getElementById("chart-data");
  return part === null ? null : JSON.parse(part.textContent);
};

const keyOf = (line) => JSON.stringify([line.series, line.group, line.label]);

const valueOf = (line, told) => {
  const of = line.group ? told.groups?.[line.group] : told;
  const found = of?.[line.series];
  return line.label ? found?.[line.label] : found;
};

// Yield the keys of those lines of a chart for which a sample has a value.
const keysOf = function* (chart, told, group) {
  const groups = Object.entries(told.groups ?? {}).filter(([name]) => !group || name === group);
  for (const series of chart.series) {
    for (const [name, of] of [["", told], ...groups]) {
      const found = of[series];
      const labelled = found !== null && typeof found === "object" ? Object.entries(found) : [["", found]];
      for (const [label, value] of labelled) {
        if (value) {
          yield JSON.stringify([series, name, label]);
        }
      }
    }
  }
};

document.addEventListener("DOMContentLoaded", () => {
  const section = document.querySelector("[data-charts]");
  if (section !== null && document.getElementById("chart-data") !== null) {
    new Page(section);
  }
});
