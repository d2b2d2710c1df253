// Processes many dead letters: posts the form part after part, and moves the progress bar. Without it, each part is a
// page.

(() => {
  const prepare = (form) => {
    const button = form.querySelector("button[type=submit]");
    const name = button.textContent;
    const bar = form.querySelector("progress");
    const box = bar.closest(".s-progress");
    const state = box.querySelector("[role=status]");
    let going = false;

    const say = (text) => {
      box.hidden = false;
      state.textContent = text;
    };

    const part = async () => {
      const answer = await fetch(form.action, {
        method: "POST",
        body: new FormData(form),
        headers: { Accept: "application/json" },
        credentials: "same-origin",
      });
      const kind = answer.headers.get("Content-Type") ?? "";
      if (!kind.startsWith("application/json")) {
        throw new Error("The server did not answer as it should: load the page again to see why.");
      }
      const said = await answer.json();
      if (!answer.ok) {
        throw new Error(said.detail);
      }
      return said;
    };

    const goOn = async () => {
      going = true;
      button.textContent = button.dataset.going;
      while (going) {
        const said = await part();
        form.elements.done.value = said.done;
        form.elements.passed.value = said.passed;
        bar.value = said.share;
        say(`${said.share.toLocaleString("en").replaceAll(",", "\u202f")} of ${bar.max.toLocaleString("en").replaceAll(",", "\u202f")}`);
        if (said.cursor === null) {
          location.assign(form.dataset.after);
          return;
        }
        form.elements.cursor.value = said.cursor;
      }
    };

    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (going) {
        going = false;
        return;
      }
      try {
        await goOn();
        if (!going) {
          button.textContent = "Continue";
        }
      } catch (error) {
        going = false;
        button.textContent = form.elements.cursor.value === "" ? name : "Continue";
        say(error.message);
      }
    });
  };

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("form[data-parts]").forEach(prepare);
  });
})();
