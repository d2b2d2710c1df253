// Checks a file without leaving the page, so that it stays chosen. Without this script, people choose it again.

document.addEventListener("DOMContentLoaded", () => {
  const form = document.querySelector("[data-import]");

  const check = async (button) => {
    const report = document.getElementById("import-report");
    button.disabled = true;
    report.textContent = "Checking…";
    try {
      const data = new FormData(form);
      data.append(button.name, "");
      const answer = await fetch(form.action || location.href, { method: "POST", body: data, credentials: "same-origin" });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const made = page.getElementById("import-report");
      if (made === null) {
        throw new Error(answer.status === 413 ? "The file is too large." : "The server could not check the file.");
      }
      const hint = made.querySelector("[data-choose-again]");
      if (hint !== null) {
        hint.textContent = hint.textContent.replace(/^[^.]*\. /, "");
      }
      report.replaceWith(document.adoptNode(made));
    } catch (error) {
      report.textContent = error.message;
    } finally {
      button.disabled = false;
    }
  };

  form?.addEventListener("submit", (event) => {
    if (event.submitter?.name === "check") {
      event.preventDefault();
      check(event.submitter);
    }
  });

  // The result of the check is removed, because it is about the file chosen before.
  form?.addEventListener(
    "change",
    (event) => {
      // Keeps the event from the theme's script, which expects the markup of its own file inputs.
      event.stopPropagation();
      document.getElementById("import-report").replaceChildren();
    },
    true,
  );
});
