// Makes the explorer's page more convenient. Without this script, everything works with links and forms.

(() => {
  const PAGE_SIZE = 25;
  // The number of parts of 10,000 events that are fetched before another click is needed.
  const MOST_PARTS = 50;
  const [LEAST_BARS, MOST_BARS] = [30, 60];
  const HEIGHT = 72;

  const number = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");

  // ---- Drop-down lists, which close like menus and can be searched.

  const preparePick = (pick) => {
    const box = pick.querySelector(".s-pick-box");
    const all = box.querySelector("[data-pick-all]");
    const others = [...box.querySelectorAll("input[type=checkbox]:not([data-pick-all])")];
    box.addEventListener("change", (event) => {
      if (all !== null && event.target === all && all.checked) {
        others.forEach((each) => {
          each.checked = false;
        });
      } else if (all !== null && event.target !== all) {
        all.checked = !others.some((each) => each.checked);
      }
    });
    const filter = box.querySelector("[data-pick-filter]");
    if (filter !== null) {
      filter.hidden = false;
      filter.addEventListener("input", () => {
        const text = filter.value.trim().toLowerCase();
        for (const each of others) {
          each.closest("label").hidden = !each.value.toLowerCase().includes(text);
        }
      });
    }
  };

  const closePicks = (but) => {
    for (const pick of document.querySelectorAll("[data-pick][open]")) {
      if (pick !== but) {
        pick.open = false;
      }
    }
  };

  document.addEventListener("click", (event) => closePicks(event.target.closest("[data-pick]")));
  document.addEventListener("keydown", (event) => {
    const pick = document.activeElement?.closest("[data-pick][open]");
    if (event.key === "Escape" && pick) {
      pick.open = false;
      pick.querySelector("summary").focus();
    }
  });

  // ---- The cursor is put where a filter has an error.

  const showPlace = (input) => {
    const at = Number(input.dataset.errorAt) - 1;
    setTimeout(() => {
      input.focus();
      input.setSelectionRange(at, at + 1);
    });
  };

  // ---- Actions in the menu of a value: filter by it, or show it as a column.

  const RESERVED = new Set(
    "true false null in as break const continue else for function if import let loop package namespace return var void while".split(" "),
  );

  const expression = (path) =>
    path.reduce((text, name) => {
      if (typeof name === "number") {
        return `${text}[${name}]`;
      }
      return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !RESERVED.has(name) ? `${text}.${name}` : `${text}[${JSON.stringify(name)}]`;
    }, "event");

  const literal = (text) => (text.startsWith('"') ? JSON.stringify(JSON.parse(text)) : text);

  const address = (part, change) => {
    const asked = new URLSearchParams(part?.dataset.search ?? location.search);
    asked.delete("next");
    change(asked);
    return `${part?.dataset.explorer ?? location.pathname}?${asked}`;
  };

  window.synapseTreeActions = (node, path, button) => {
    const part = button.closest("[data-search]");
    const also = (condition) => (asked) => {
      const filter = asked.get("filter");
      asked.set("filter", filter === null ? condition : `${filter.includes("||") || filter.includes("?") ? `(${filter})` : filter} && ${condition}`);
    };
    const actions = [];
    if (node.text !== undefined && node.text.length <= 200) {
      const [name, value] = [expression(path), literal(node.text)];
      actions.push({ title: "Only events with this value", url: address(part, also(`${name} == ${value}`)) });
      actions.push({ title: "Only events without it", url: address(part, also(`${name} != ${value}`)) });
    }
    if (part === null && !path.some((each) => String(each).includes("."))) {
      actions.push({ title: "Show as a column", url: address(null, (asked) => asked.append("column", path.join("."))) });
    }
    return actions;
  };

  // ---- Rows: a click anywhere opens a row, and two rows can be compared.

  const prepareRows = (list) => {
    list.addEventListener("click", (event) => {
      const row = event.target.closest("tr.s-event");
      const isSelecting = !document.getSelection().isCollapsed;
      if (row === null || isSelecting || event.target.closest("a, button, input, label, summary")) {
        return;
      }
      const details = row.querySelector("details");
      details.open = !details.open;
    });
  };

  const prepareCompare = (form) => {
    const button = form.querySelector("button[type=submit]");
    const show = () => {
      const chosen = form.querySelectorAll("input[name=event]:checked").length;
      form.querySelectorAll("input[name=event]:not(:checked)").forEach((each) => {
        each.disabled = chosen >= 2;
      });
      if (button !== null) {
        button.disabled = chosen !== 2;
      }
    };
    form.addEventListener("change", show);
    show();
    return show;
  };

  // ---- Continuing: parts are fetched one after the other until a page is full, the search ends, or a person stops it.

  class Search {
    constructor(section) {
      this.section = section;
      this.list = section.querySelector("[data-rows]");
      this.progress = section.querySelector("[data-progress]");
      this.stop = section.querySelector("[data-stop]");
      this.scanned = Number(this.progress.dataset.scanned);
      this.isRunning = false;
      this.showCompare = prepareCompare(section.querySelector("[data-compare]"));
      prepareRows(this.list);
      section.addEventListener("click", (event) => {
        const link = event.target.closest("[data-further]");
        if (link !== null && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
          event.preventDefault();
          this.run(link);
        }
      });
      this.stop.addEventListener("click", () => {
        this.isRunning = false;
        this.aborter?.abort();
      });
    }

    get found() {
      return this.list.querySelectorAll("tr.s-event").length;
    }

    async run(link) {
      const before = this.found;
      this.isRunning = true;
      link.hidden = true;
      this.stop.hidden = false;
      this.stop.focus();
      let next = link.href;
      try {
        for (let part = 0; part < MOST_PARTS && next && this.isRunning && this.found - before < PAGE_SIZE; part += 1) {
          next = await this.take(next);
        }
      } catch (error) {
        if (error.name !== "AbortError") {
          location.href = next; // The page itself says what is wrong.
          return;
        }
      } finally {
        this.isRunning = false;
        this.stop.hidden = true;
      }
      if (next) {
        link.href = next;
        link.hidden = false;
        link.focus();
      } else {
        link.remove();
      }
    }

    // Add the part at an address to the page, and return the address of the next part.
    async take(url) {
      this.aborter = new AbortController();
      const answer = await fetch(url, { credentials: "same-origin", signal: this.aborter.signal });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const section = page.querySelector("[data-results]");
      if (!answer.ok || answer.redirected || section === null) {
        throw new Error("no results");
      }
      const rows = [...section.querySelectorAll("[data-rows] > tr")].map((row) => document.adoptNode(row));
      if (rows.length > 0) {
        this.list.append(...rows);
        this.section.querySelector("[data-list]").hidden = false;
        this.section.querySelector("[data-nothing]")?.remove();
        rows.forEach((row) => window.synapseTree.prepare(row));
        this.showCompare();
      } else if (section.querySelector("[data-further]") === null) {
        this.section.querySelector("[data-nothing]")?.replaceWith(document.adoptNode(section.querySelector("[data-nothing]")));
      }
      const progress = section.querySelector("[data-progress]");
      this.scanned += Number(progress.dataset.scanned);
      this.section.querySelectorAll("[data-number]").forEach((shown) => {
        shown.textContent = number(this.scanned);
      });
      for (const part of ["[data-reached]", "[data-so-far]"]) {
        this.section.querySelector(part).replaceWith(document.adoptNode(section.querySelector(part)));
      }
      this.section.querySelector("[data-found]").textContent = number(this.found);
      const figure = page.querySelector("[data-histogram]");
      if (window.synapseHistogram !== undefined) {
        window.synapseHistogram.add(figure);
      } else if (figure !== null) {
        this.section.before(document.adoptNode(figure));
        window.synapseHistogram = new Histogram(figure);
      }
      return section.querySelector("[data-further]")?.href ?? "";
    }
  }

  // ---- Events over time, drawn from the table.

  const SVG = "http://www.w3.org/2000/svg";

  const barsOf = (figure) =>
    [...figure.querySelectorAll("tr[data-from]")].map(({ dataset }) => ({
      from: Number(dataset.from),
      to: Number(dataset.to),
      count: Number(dataset.count),
    }));

  const clock = (ms, isLong) => {
    const at = new Date(ms);
    const time = at.toLocaleTimeString("en-GB");
    const day = `${at.getFullYear()}-${String(at.getMonth() + 1).padStart(2, "0")}-${String(at.getDate()).padStart(2, "0")}`;
    return isLong ? `${day} ${time}` : time;
  };

  class Histogram {
    constructor(figure) {
      this.figure = figure;
      this.bars = barsOf(figure);
      this.range = [Number(figure.dataset.from), Number(figure.dataset.to)];
      this.draw();
    }

    add(figure) {
      if (figure === null || !("grows" in this.figure.dataset)) {
        return;
      }
      this.bars.push(...barsOf(figure));
      this.range = [Math.min(this.range[0], Number(figure.dataset.from)), Math.max(this.range[1], Number(figure.dataset.to))];
      this.draw();
      const table = this.figure.querySelector("tbody");
      table.append(...[...figure.querySelectorAll("tr[data-from]")].map((row) => document.adoptNode(row)));
    }

    draw() {
      const [first, last] = this.range;
      let length = Math.max(...this.bars.map((bar) => bar.to - bar.from));
      while ((last - first) / length > MOST_BARS) {
        length *= 2;
      }
      // A few bars would be too wide, so the axis shows a longer time.
      const end = Math.max(Math.ceil(last / length), Math.floor(first / length) + 1);
      const begin = Math.min(Math.floor(first / length), end - LEAST_BARS);
      const counts = Array(end - begin).fill(0);
      for (const bar of this.bars) {
        counts[Math.min(counts.length - 1, Math.floor((bar.from + bar.to) / 2 / length) - begin)] += bar.count;
      }
      const highest = Math.max(...counts, 1);
      const isLong = new Date(first).toDateString() !== new Date().toDateString();
      const drawing = document.createElementNS(SVG, "svg");
      drawing.setAttribute("viewBox", `0 0 ${counts.length * 10} ${HEIGHT}`);
      drawing.setAttribute("preserveAspectRatio", "none");
      counts.forEach((count, place) => {
        const [from, to] = [(begin + place) * length, (begin + place + 1) * length];
        const link = document.createElementNS(SVG, "a");
        link.setAttribute("href", address(null, (asked) => {
          asked.delete("range");
          asked.set("since", from);
          asked.set("until", to - 1);
        }));
        link.setAttribute("tabindex", "-1");
        const height = count === 0 ? 0 : Math.max(2, (HEIGHT * count) / highest);
        for (const [className, tall] of [["s-bar-space", HEIGHT], ["s-bar", height]]) {
          const bar = document.createElementNS(SVG, "rect");
          bar.setAttribute("class", className);
          bar.setAttribute("x", String(place * 10 + (className === "s-bar" ? 1 : 0)));
          bar.setAttribute("y", String(HEIGHT - tall));
          bar.setAttribute("width", className === "s-bar" ? "8" : "10");
          bar.setAttribute("height", String(tall));
          link.append(bar);
        }
        const title = document.createElementNS(SVG, "title");
        title.textContent = `${clock(from, isLong)} to ${clock(to, isLong)}: ${number(count)}`;
        link.append(title);
        drawing.append(link);
      });
      this.figure.querySelector("[data-plot]").replaceChildren(drawing);
      const total = counts.reduce((sum, count) => sum + count, 0);
      this.figure.querySelector("[data-about]").textContent =
        `${number(total)}, from ${clock(begin * length, isLong)} to ${clock((begin + counts.length) * length, isLong)}`;
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("[data-pick]").forEach(preparePick);
    document.querySelectorAll("[data-error-at]").forEach(showPlace);
    const figure = document.querySelector("[data-histogram]");
    if (figure !== null) {
      window.synapseHistogram = new Histogram(figure);
    }
    const section = document.querySelector("[data-results]");
    if (section !== null) {
      new Search(section);
    }
  });
})();
