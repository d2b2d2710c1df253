// What Synapse's admin does in the browser beside the theme's own scripts.

(() => {
  // ---- What the theme leaves to the mouse is a button for the keyboard and for screen readers too.

  const makeButtons = () => {
    const mouseOnly = "[x-on\\:click]:not(a[href], button, input, select, textarea, label, summary)";
    for (const part of document.querySelectorAll(mouseOnly)) {
      part.tabIndex = 0;
      part.setAttribute("role", "button");
      if (part.getAttribute("x-on:click").includes("sidebar")) {
        // Its text is the name of an icon.
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

  // An icon is a word in a font of pictures: “history” before “Audit entries” is not to be read aloud.
  const silenceIcons = () => {
    for (const icon of document.querySelectorAll(".material-symbols-outlined:not([role=button])")) {
      icon.setAttribute("aria-hidden", "true");
    }
  };

  // ---- The parts of a page that say what goes on now are kept up to date: all with an id and data-live="SECONDS".
  //
  // With a sample of statistics that the server pushes, the parts that are older than that are fetched, from the page
  // or from the address in data-from, and take the place of the old ones. When nothing is pushed, because Redis or the
  // connection is away, they are asked for all the same, to say so. Nothing is fetched while the page is hidden, and a
  // part in which somebody has opened, focused or selected something is left alone.

  // Samples come every five seconds. Milliseconds.
  const SILENT = 12_000;
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

  const fetchParts = async (address, parts) => {
    if (asking.has(address)) {
      return;
    }
    asking.add(address);
    parts.forEach((part) => fetchedAt.set(part.id, Date.now()));
    try {
      const answer = await fetch(address, { credentials: "same-origin" });
      // Logged out, or gone: what is shown stays, and the next click says so.
      if (!answer.ok || answer.redirected) {
        return;
      }
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of parts) {
        const now = page.getElementById(part.id);
        if (now !== null && part.isConnected && !isInUse(part)) {
          Object.assign(now.dataset, part.dataset);
          part.replaceWith(document.adoptNode(now));
        }
      }
    } catch {
      // With the next sample.
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

  const keepUpToDate = () => {
    // The theme's table of a list, where the page says that its rows tell what goes on.
    const list = document.getElementById("result_list");
    const seconds = document.querySelector("[data-live-list]")?.dataset.liveList;
    if (list !== null && seconds !== undefined) {
      list.dataset.live = seconds;
    }
    if (document.querySelector("[data-live], [data-charts]") === null) {
      return;
    }
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

  // ---- Of the theme's own libraries: no styles that the pages' policy refuses, and no code from texts.

  if (window.htmx) {
    window.htmx.config.includeIndicatorStyles = false;
    window.htmx.config.allowEval = false;
  }

  document.addEventListener("DOMContentLoaded", () => {
    makeButtons();
    silenceIcons();
    keepUpToDate();
  });
})();
