// While a contract's schema is edited, shows below the editor whether it may become the next version.
//
// The textarea has the URL of the check: data-verdict="URL". The text is posted PAUSE_MS after the last keystroke, and
// the response, an HTML fragment, replaces the previous result. Without this script, the result is shown when the draft
// is activated.

(() => {
  const PAUSE_MS = 400;

  const follow = (textarea) => {
    const panel = document.createElement("section");
    panel.className = "s-live-verdict";
    panel.setAttribute("aria-label", "Compatibility");
    const said = document.createElement("div");
    // Screen readers announce changes of this part, after finishing the current sentence.
    said.setAttribute("role", "status");
    panel.append(said);
    (textarea.closest(".field-schema, .form-row") || textarea.parentElement).after(panel);

    let timer = 0;
    let asking = null;

    const tell = (text) => {
      const line = document.createElement("p");
      line.className = "s-note s-warn";
      line.textContent = text;
      said.replaceChildren(line);
    };

    const show = (html) => {
      const part = new DOMParser().parseFromString(html, "text/html").querySelector(".s-verdict");
      if (part === null) {
        tell("The schema cannot be checked now. Log in again, or save the draft.");
        return;
      }
      said.replaceChildren(document.adoptNode(part));
      textarea.dispatchEvent(new CustomEvent("json-colour", { detail: said }));
    };

    const ask = async () => {
      asking?.abort();
      const mine = new AbortController();
      asking = mine;
      panel.setAttribute("aria-busy", "true");
      const body = new FormData();
      body.append("schema", textarea.value);
      const token = textarea.form.elements.namedItem("csrfmiddlewaretoken").value;
      try {
        const answer = await fetch(textarea.dataset.verdict, {
          method: "POST",
          body,
          credentials: "same-origin",
          headers: { "X-CSRFToken": token },
          signal: mine.signal,
        });
        if (answer.ok) {
          show(await answer.text());
        } else {
          tell(answer.status === 400 ? "The text is too long to be checked." : "The schema cannot be checked now.");
        }
      } catch (error) {
        if (error.name !== "AbortError") {
          tell("The schema cannot be checked now: Synapse does not answer.");
        }
      } finally {
        if (asking === mine) {
          panel.removeAttribute("aria-busy");
        }
      }
    };

    textarea.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(ask, PAUSE_MS);
    });
    panel.addEventListener("click", (event) => {
      const button = event.target.closest("[data-line]");
      if (button !== null) {
        textarea.dispatchEvent(new CustomEvent("json-line", { detail: Number(button.dataset.line) }));
      }
    });
    ask();
  };

  const start = () => document.querySelectorAll("textarea[data-verdict]").forEach(follow);

  document.readyState === "loading" ? document.addEventListener("DOMContentLoaded", start) : start();
})();
