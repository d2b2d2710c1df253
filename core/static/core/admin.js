// Synapse's additions to the theme's scripts in the admin.

(() => {
  // ---- Elements that the theme makes clickable with the mouse only become buttons for keyboard and screen readers.

  const makeButtons = () => {
    const mouseOnly = "[x-on\\:click]:not(a[href], button, input, select, textarea, label, summary)";
    for (const part of document.querySelectorAll(mouseOnly)) {
      part.tabIndex = 0;
      part.setAttribute("role", "button");
      if (part.getAttribute("x-on:click").includes("sidebar")) {
        // Without a label, the name of its icon would be read aloud.
        part.setAttribute("aria-label", "Menu");
      }
      part.addEventListener("keydown", (event) => {
        if (event.target === part && (event.key === "Enter" || event.key === " ")) {
          event.preventDefault();
          part.click();
        }
      });
    }
  };

  // Icons are words in an icon font: without this, “history” would be read aloud before “Audit entries”.
  const silenceIcons = () => {
    for (const icon of document.querySelectorAll(".material-symbols-outlined:not([role=button])")) {
      icon.setAttribute("aria-hidden", "true");
    }
  };

  // Fields in a table's rows have no label of their own: the header of the column becomes theirs.
  const labelCells = () => {
    for (const field of document.querySelectorAll("td[data-label] :is(input:not([type=hidden]), select, textarea)")) {
      if (field.labels?.length === 0 && !field.hasAttribute("aria-label")) {
        field.setAttribute("aria-label", field.closest("td").dataset.label);
      }
    }
  };

  // Elements that the theme and its libraries leave without a name for screen readers, and their names.
  const NAMES = [
    ["a[href$='/admin/']:has(> .material-symbols-outlined:only-child)", "Overview"],
    ["#searchbar-submit, #command-submit, #search-input-command", "Search"],
    ["[x-on\\:click*=openTheme]", "Light or dark"],
    ["[x-on\\:click*=openRelatedWidgetWrapper]", "Add, change or view"],
    ["[x-on\\:click*=openTabsDropdown]", "More tabs"],
    ["[x-on\\:click*=showActions]", "More actions"],
  ];

  const nameParts = () => {
    for (const [selector, name] of NAMES) {
      for (const part of document.querySelectorAll(`:is(${selector}):not([aria-label])`)) {
        part.setAttribute("aria-label", name);
      }
    }
    for (const tip of document.querySelectorAll("span.help-tooltip[aria-label]:not([role])")) {
      tip.setAttribute("role", "img");
    }
    for (const box of document.querySelectorAll(".select2-selection:not([aria-label])")) {
      const label = box.closest(".select2")?.previousElementSibling?.labels?.[0]?.textContent.trim().replace(/:$/, "");
      for (const part of [box, ...box.querySelectorAll("[role=textbox]")]) {
        part.setAttribute("aria-label", label || "Choose");
        part.removeAttribute("aria-labelledby");
      }
    }
  };

  // Make scrolling parts reachable with the keyboard.
  const reachScrolled = () => {
    for (const text of document.querySelectorAll(".cm-content:not([tabindex])")) {
      text.tabIndex = 0;
    }
    for (const part of document.querySelectorAll(".s-scroll, .s-diff, pre.s-json")) {
      part.tabIndex = 0;
      if (part.tagName !== "PRE" && !part.hasAttribute("role")) {
        part.setAttribute("role", "region");
        part.setAttribute("aria-label", part.closest("section")?.querySelector("h2")?.textContent.trim() ?? "Table");
      }
    }
  };

  // ---- The parts of a page that show live data are kept up to date: those with an id and data-live="SECONDS".
  //
  // When the server pushes a sample of statistics, parts older than SECONDS are fetched, from the page or from the
  // address in data-from, and replaced. If a part with data-reload is missing from the fetched page, a failure that it
  // reported is over, and the whole page is reloaded. The parts of the overview are pushed themselves. When no sample
  // comes, because Redis or the connection is down, parts are fetched nevertheless, to show that. Nothing is fetched
  // while the page is hidden. A part in which a person has opened, focused or selected something is not replaced.

  // Samples come every five seconds. Milliseconds.
  const SILENT = 12_000;
  const PATIENCE = 10_000;
  let toldAt = Date.now();
  const fetchedAt = new Map();
  const asking = new Set();

  const isInUse = (part) => {
    const selection = document.getSelection();
    return (
      part.querySelector("details[open], input:checked") !== null ||
      part.contains(document.activeElement) ||
      (selection !== null && !selection.isCollapsed && part.contains(selection.anchorNode))
    );
  };

  // Report that the stream or bridge of the page was deleted. Its last values stay, and are not fetched again.
  const sayThatItIsGone = (parts) => {
    parts.forEach((part) => delete part.dataset.live);
    if (document.getElementById("gone") === null) {
      const note = document.createElement("div");
      Object.assign(note, { id: "gone", className: "s-note s-bad s-above", role: "alert" });
      note.textContent = "It was deleted while this page was open. The figures are the last ones.";
      parts[0].before(note);
    }
  };

  // Report that the shown values are outdated.
  const sayThatItIsOld = (parts) => {
    if (document.getElementById("old") === null) {
      const note = document.createElement("div");
      Object.assign(note, { id: "old", className: "s-note s-bad s-above", role: "alert" });
      const at = new Date(shownAt);
      const clock = [at.getHours(), at.getMinutes(), at.getSeconds()].map(twoDigits).join(":");
      note.textContent = `The server does not answer. What is shown is of ${clock}, and is fetched again by itself.`;
      parts[0].before(note);
    }
  };

  const showParts = (html, parts) => {
    shownAt = Date.now();
    document.getElementById("old")?.remove();
    const page = new DOMParser().parseFromString(html, "text/html");
    for (const part of parts) {
      const now = page.getElementById(part.id);
      if (now === null && "reload" in part.dataset) {
        location.reload();
        return;
      }
      if (now !== null && part.isConnected && !isInUse(part)) {
        Object.assign(now.dataset, part.dataset);
        part.replaceWith(document.adoptNode(now));
      }
    }
  };

  // The parts in [data-pushed] come with each sample, so they are not fetched as well.
  const showPushed = (html) => {
    const parts = [...document.querySelectorAll("[data-pushed] [data-live]")];
    parts.forEach((part) => fetchedAt.set(part.id, Date.now()));
    showParts(html, parts);
  };

  const fetchParts = async (address, parts) => {
    if (asking.has(address)) {
      return;
    }
    asking.add(address);
    parts.forEach((part) => fetchedAt.set(part.id, Date.now()));
    try {
      const answer = await fetch(address, { credentials: "same-origin", signal: AbortSignal.timeout(PATIENCE) });
      // The page of a deleted definition redirects to the list.
      if (answer.redirected && !answer.url.includes("/login/")) {
        sayThatItIsGone(parts);
      }
      if (answer.status >= 500) {
        sayThatItIsOld(parts);
      }
      // Logged out: the page stays as it is, and the next click leads to the log-in.
      if (!answer.ok || answer.redirected) {
        return;
      }
      showParts(await answer.text(), parts);
    } catch {
      sayThatItIsOld(parts);
    } finally {
      asking.delete(address);
    }
  };

  const refresh = () => {
    if (document.hidden) {
      return;
    }
    const isDue = (part) => Date.now() - (fetchedAt.get(part.id) ?? openedAt) > Number(part.dataset.live) * 1000 - 1500;
    const due = [...document.querySelectorAll("[data-live]")].filter((part) => isDue(part) && !isInUse(part));
    for (const address of new Set(due.map((part) => part.dataset.from ?? location.href))) {
      fetchParts(address, due.filter((part) => (part.dataset.from ?? location.href) === address));
    }
  };
  const openedAt = Date.now();
  let shownAt = openedAt;

  const keepUpToDate = () => {
    // The theme's table of a list, if the page declares that its rows show live data.
    const list = document.getElementById("result_list");
    const seconds = document.querySelector("[data-live-list]")?.dataset.liveList;
    if (list !== null && seconds !== undefined) {
      list.dataset.live = seconds;
    }
    if (document.querySelector("[data-live], [data-charts]") === null) {
      return;
    }
    window.addEventListener("synapse:overview", (event) => showPushed(event.detail));
    window.addEventListener("synapse:sample", () => {
      toldAt = Date.now();
      refresh();
    });
    setInterval(() => {
      if (Date.now() - toldAt > SILENT) {
        refresh();
      }
    }, SILENT / 2);
    window.followStatistics();
  };

  // ---- Times come in UTC, and are shown in the time zone of the browser, with UTC in the tooltip.

  const twoDigits = (number) => String(number).padStart(2, "0");

  const inTheirZone = (time) => {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) {
      return;
    }
    const day = `${at.getFullYear()}-${twoDigits(at.getMonth() + 1)}-${twoDigits(at.getDate())}`;
    const clock = `${twoDigits(at.getHours())}:${twoDigits(at.getMinutes())}:${twoDigits(at.getSeconds())}`;
    const zone = at.toLocaleTimeString("en", { timeZoneName: "short" }).split(" ").pop();
    if ("clock" in time.dataset) {
      const today = new Date().toDateString() === at.toDateString();
      time.textContent = `${today ? "" : `${day} `}${clock}${time.dataset.clock}`;
    } else {
      time.title = `${day} ${clock} ${zone} · ${time.title}`;
    }
    time.dataset.shown = "";
  };

  const showTimes = () => {
    document.querySelectorAll("time[datetime]:not([data-shown])").forEach(inTheirZone);
  };

  // [data-utc] marks the label of an input for a time in UTC, which is shown and typed in the browser's time zone, too.
  const askInTheirZone = (word) => {
    const input = word.closest("label")?.querySelector("input[type=datetime-local]");
    if (!input) {
      return;
    }
    const shifted = (text, sign) => {
      const at = new Date(`${text}Z`);
      const off = new Date(at.getTime() - sign * at.getTimezoneOffset() * 60_000);
      return Number.isNaN(off.getTime()) ? text : off.toISOString().replace(/(\.000)?Z$/, "");
    };
    word.remove();
    input.value = input.value && shifted(input.value, 1);
    input.form.addEventListener("submit", () => {
      input.value = input.value && shifted(input.value, -1);
    });
  };

  // ---- Copying: [data-copy="ID"] copies the text of that part, shown or not. Say whether it worked.

  // By button, its text before “Copied”.
  const labels = new WeakMap();

  window.synapseCopy = async (text, button) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Browsers offer the clipboard only to pages loaded with TLS.
      const area = document.createElement("textarea");
      area.className = "s-unseen";
      area.value = text;
      button.after(area);
      area.select();
      const isCopied = document.execCommand("copy");
      area.remove();
      button.focus();
      if (!isCopied) {
        return false;
      }
    }
    if (!labels.has(button)) {
      labels.set(button, button.textContent);
      setTimeout(() => {
        button.textContent = labels.get(button);
        labels.delete(button);
      }, 2000);
    }
    button.textContent = "Copied";
    return true;
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (button === null) {
      return;
    }
    const part = document.getElementById(button.dataset.copy);
    if (!(await window.synapseCopy(part.textContent, button))) {
      document.getSelection().selectAllChildren(part);
    }
  });

  // ---- Texts of publishers: invisible characters, such as direction marks, are shown as JSON escapes, as in the pages
  // that the server renders.

  const escaped = (character) =>
    [...Array(character.length).keys()]
      .map((at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`)
      .join("");

  window.synapseVisible = (text) => text.replace(/[^\P{C}\n]|[^\P{Z} ]/gu, escaped);

  // ---- The first field with an error gets the focus.

  const focusOnError = () => {
    const wrong = "[aria-invalid=true]:not([type=hidden], [hidden]), .errors :is(input, select, textarea):not([type=hidden], [hidden])";
    const field = [...document.querySelectorAll(`#content :is(${wrong})`)].find((each) => each.closest("[hidden]") === null);
    if (field !== undefined) {
      field.closest("details")?.setAttribute("open", "");
      field.focus();
    }
  };

  // ---- htmx must not add styles, which the pages' policy refuses, or evaluate texts as code.

  if (window.htmx) {
    window.htmx.config.includeIndicatorStyles = false;
    window.htmx.config.allowEval = false;
  }

  // ---- In the theme's search, Enter opens the chosen result, or the first one. Pressed before the results have come,
  // it takes effect when they come.

  document.addEventListener("alpine:init", () => {
    const searchOfTheme = window.searchCommand;
    window.searchCommand = () => {
      const search = searchOfTheme();
      const { handleContentLoaded, selectItem } = search;
      // The text whose results are shown, and a pending Enter.
      let answered = "";
      let waiting = null;
      return Object.assign(search, {
        handleContentLoaded(event) {
          handleContentLoaded.call(this, event);
          if (event.target.id === "command-results") {
            answered = event.detail.requestConfig.parameters.s;
            if (waiting?.text === answered) {
              this.selectItem(...waiting.options);
            }
          }
        },
        selectItem(...options) {
          const text = this.$refs.searchInputCommand.value;
          waiting = text === answered ? null : { text, options };
          if (waiting === null && this.items?.length) {
            this.currentIndex ||= 1;
            selectItem.apply(this, options);
          }
        },
      });
    };
  });

  document.addEventListener("DOMContentLoaded", () => {
    makeButtons();
    silenceIcons();
    labelCells();
    keepUpToDate();
    const onChange = () => {
      showTimes();
      nameParts();
      reachScrolled();
    };
    onChange();
    document.addEventListener("formset:added", labelCells);
    document.querySelectorAll("[data-utc]").forEach(askInTheirZone);
    new MutationObserver(onChange).observe(document.body, { childList: true, subtree: true });
    // After the form's own scripts, which replace some inputs.
    setTimeout(focusOnError);
  });
})();
