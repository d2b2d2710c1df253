// Additions to forms: rows that can be added and removed, names as chips, and parts that depend on a choice.

(() => {
  // ---- Rows: [data-rows] holds [data-row] elements, the last of which is empty at first.

  const emptied = (row) => {
    const copy = row.cloneNode(true);
    for (const input of copy.querySelectorAll("input, select")) {
      input.removeAttribute("id");
      if (input.tagName === "SELECT") {
        input.selectedIndex = 0;
      } else {
        input.value = "";
        input.removeAttribute("value");
      }
    }
    return copy;
  };

  const prepareRows = (rows) => {
    const add = rows.querySelector("[data-add-row]");
    const pattern = emptied(rows.querySelector("[data-row]"));
    for (const button of [add, pattern.querySelector("[data-remove-row]"), ...rows.querySelectorAll("[data-remove-row]")]) {
      button.hidden = false;
    }
    add.addEventListener("click", () => {
      add.before(pattern.cloneNode(true));
      add.previousElementSibling.querySelector("input, select").focus();
    });
    rows.addEventListener("click", (event) => {
      const button = event.target.closest("[data-remove-row]");
      if (button === null) {
        return;
      }
      const row = button.closest("[data-row]");
      const others = rows.querySelectorAll("[data-row]");
      if (others.length === 1) {
        row.replaceWith(pattern.cloneNode(true));
      } else {
        row.remove();
      }
      add.focus();
    });
  };

  // ---- Chips: an input whose text is names with commas between them. The input itself is what the form sends.

  const namesOf = (text) => {
    const trimmed = text.trim();
    if (trimmed.startsWith("[")) {
      try {
        return JSON.parse(trimmed).map(String);
      } catch {
        return [trimmed];
      }
    }
    return trimmed.split(/\s*,\s*/).filter(Boolean);
  };

  const written = (names) =>
    names.some((name) => name.includes(",") || name.startsWith("[")) ? JSON.stringify(names) : names.join(", ");

  const eventTypesOf = async (stream) => {
    try {
      const answer = await fetch(`/streams/${encodeURIComponent(stream)}`, { credentials: "same-origin" });
      return answer.ok ? (await answer.json()).event_types.map((each) => each.name) : [];
    } catch {
      return [];
    }
  };

  const prepareChips = (input) => {
    const frame = document.createElement("div");
    frame.className = "s-chip-box";
    const list = document.createElement("ul");
    list.className = "s-chips";
    const typed = document.createElement("input");
    typed.type = "text";
    typed.autocomplete = "off";
    typed.spellcheck = false;
    typed.id = `${input.id}_typed`;
    const label = input.labels[0];
    typed.setAttribute("aria-label", `Add to: ${label ? label.textContent.trim().replace(/[:*]+$/, "") : input.name}`);
    if (input.getAttribute("aria-invalid")) {
      typed.setAttribute("aria-invalid", "true");
    }
    const options = document.createElement("datalist");
    options.id = `${input.id}_options`;
    typed.setAttribute("list", options.id);
    frame.append(list, typed, options);
    input.after(frame);
    input.hidden = true;
    if (label) {
      label.htmlFor = typed.id;
    }

    let names = namesOf(input.value);
    let stream = "";
    const show = () => {
      input.value = written(names);
      list.replaceChildren(
        ...names.map((name, place) => {
          const chip = document.createElement("li");
          chip.className = "s-chip";
          const button = document.createElement("button");
          button.type = "button";
          button.textContent = "×";
          button.setAttribute("aria-label", `Remove ${name}`);
          button.addEventListener("click", () => {
            names.splice(place, 1);
            show();
            typed.focus();
          });
          chip.append(name, button);
          return chip;
        }),
      );
      list.hidden = names.length === 0;
      typed.placeholder = names.length === 0 ? input.placeholder || "all" : "";
    };
    const take = () => {
      const more = namesOf(typed.value).filter((name) => !names.includes(name));
      if (typed.value.trim() !== "") {
        names = [...names, ...more];
        typed.value = "";
        show();
      }
    };
    const offer = async () => {
      const select = document.querySelector(`select[name="${input.dataset.optionsOf}"]`);
      const now = select && select.selectedIndex >= 0 && select.value ? select.options[select.selectedIndex].text : "";
      if (now === stream) {
        return;
      }
      stream = now;
      const found = now ? await eventTypesOf(now) : [];
      options.replaceChildren(
        ...found.map((name) => {
          const option = document.createElement("option");
          option.value = name;
          return option;
        }),
      );
    };
    typed.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === ",") {
        event.preventDefault();
        take();
      } else if (event.key === "Backspace" && typed.value === "" && names.length > 0) {
        names.pop();
        show();
      }
    });
    typed.addEventListener("input", (event) => {
      // A name that was chosen from the list needs no separator to complete it.
      if (event.inputType === undefined || event.inputType === "insertReplacementText") {
        take();
      }
    });
    typed.addEventListener("blur", take);
    if (input.dataset.optionsOf) {
      typed.addEventListener("focus", offer);
    }
    show();
  };

  // ---- Parts of a form that are shown for one choice: [data-when="FIELD"][data-is="VALUE"].

  const showChosen = () => {
    for (const part of document.querySelectorAll("[data-when]")) {
      const field = part.dataset.when;
      const chosen =
        document.querySelector(`input[name="${field}"]:checked`) ?? document.querySelector(`select[name="${field}"]`);
      part.hidden = chosen === null || chosen.value !== part.dataset.is;
    }
  };

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("[data-rows]").forEach(prepareRows);
    document.querySelectorAll("input[data-chips]").forEach(prepareChips);
    if (document.querySelector("[data-when]") !== null) {
      document.addEventListener("change", showChosen);
      showChosen();
    }
  });
})();
