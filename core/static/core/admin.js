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
  // The page is fetched again, and its parts take the place of the old ones. Nothing is fetched while the page is
  // hidden, and a part in which somebody has opened, focused or selected something is left alone.

  const isInUse = (part) => {
    const selection = document.getSelection();
    return (
      part.querySelector("details[open]") !== null ||
      part.contains(document.activeElement) ||
      (selection !== null && !selection.isCollapsed && part.contains(selection.anchorNode))
    );
  };

  const refresh = async () => {
    const parts = [...document.querySelectorAll("[data-live]")].filter((part) => !isInUse(part));
    if (document.hidden || parts.length === 0) {
      return;
    }
    let page;
    try {
      const answer = await fetch(location.href, { credentials: "same-origin" });
      // Logged out, or gone: what is shown stays, and the next click says so.
      if (!answer.ok || answer.redirected) {
        return;
      }
      page = new DOMParser().parseFromString(await answer.text(), "text/html");
    } catch {
      return;
    }
    for (const part of parts) {
      const now = page.getElementById(part.id);
      if (now !== null && part.isConnected) {
        part.replaceWith(document.adoptNode(now));
      }
    }
  };

  const keepUpToDate = () => {
    const first = document.querySelector("[data-live]");
    if (first !== null) {
      setInterval(refresh, Number(first.dataset.live) * 1000);
    }
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
