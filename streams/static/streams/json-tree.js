// Turns each <pre data-tree> with JSON into a tree when it is first shown. Without this script it stays text.
// A part of the tree is created when it is opened. Content from publishers is set as text, never as HTML. Each value
// has a menu to copy the value or its path, with the further actions of `window.synapseTreeActions`.

(() => {
  // The number of items of a list or object that are shown; a button shows more.
  const MOST_SHOWN = 100;

  // ---- A JSON parser that keeps the text of numbers and strings, so that no digits are lost.

  const TOKEN = /\s*("(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+)/gy;

  const parse = (text) => {
    TOKEN.lastIndex = 0;
    let token = null;
    const next = () => {
      const found = TOKEN.exec(text);
      if (found === null) {
        throw new SyntaxError("JSON expected");
      }
      token = found[1];
    };
    const value = () => {
      const opening = token;
      if (opening !== "{" && opening !== "[") {
        const isScalar = !"}],:".includes(opening);
        if (!isScalar) {
          throw new SyntaxError("a value expected");
        }
        return { text: opening };
      }
      const closing = opening === "{" ? "}" : "]";
      const members = [];
      next();
      while (token !== closing) {
        let name = members.length;
        if (opening === "{") {
          name = JSON.parse(token);
          next();
          next();
        }
        members.push([name, value()]);
        next();
        if (token === ",") {
          next();
        }
      }
      return { opening, closing, members };
    };
    next();
    return value();
  };

  const written = (node, indent = "") => {
    if (node.text !== undefined) {
      return node.text;
    }
    if (node.members.length === 0) {
      return node.opening + node.closing;
    }
    const inner = `${indent}  `;
    const lines = node.members.map(([name, part]) =>
      node.opening === "{" ? `${inner}${JSON.stringify(name)}: ${written(part, inner)}` : inner + written(part, inner),
    );
    return `${node.opening}\n${lines.join(",\n")}\n${indent}${node.closing}`;
  };

  // ---- The menu of a value. The page has one, which all values share.

  let menu = null;

  const shownPath = (path) => path.map((name) => String(name)).join(".");

  const openMenu = (button, node, path) => {
    menu?.remove();
    menu = document.createElement("div");
    menu.className = "s-menu";
    menu.popover = "auto";
    menu.setAttribute("role", "group");
    menu.setAttribute("aria-label", shownPath(path));
    const text = node.text === undefined ? written(node) : node.text.startsWith('"') ? JSON.parse(node.text) : node.text;
    const actions = [
      { title: "Copy value", run: (each) => window.synapseCopy(text, each) },
      { title: "Copy path", run: (each) => window.synapseCopy(shownPath(path), each) },
      ...(window.synapseTreeActions?.(node, path, button) ?? []),
    ];
    for (const action of actions) {
      const each = document.createElement(action.url ? "a" : "button");
      each.textContent = action.title;
      if (action.url) {
        each.href = action.url;
      } else {
        each.type = "button";
        each.addEventListener("click", () => action.run(each));
      }
      menu.append(each);
    }
    button.after(menu);
    menu.showPopover();
    const place = button.getBoundingClientRect();
    menu.style.top = `${Math.min(place.bottom + 4, innerHeight - menu.offsetHeight - 8)}px`;
    menu.style.left = `${Math.max(8, Math.min(place.left, document.documentElement.clientWidth - menu.offsetWidth - 8))}px`;
    menu.firstElementChild.focus();
    menu.addEventListener("toggle", (event) => {
      if (event.newState === "closed" && menu?.contains(document.activeElement)) {
        button.focus();
      }
    });
  };

  // ---- The tree.

  const element = (name, className, text = "") => {
    const made = document.createElement(name);
    made.className = className;
    made.textContent = text;
    return made;
  };

  const kindOf = (text) => {
    if (text.startsWith('"')) {
      return "tok-string";
    }
    return /^[-0-9]/.test(text) ? "tok-number" : "tok-keyword";
  };

  const menuButton = (node, path) => {
    const button = element("button", "s-tree-menu", "⋯");
    button.type = "button";
    button.setAttribute("aria-label", `Copy or search ${shownPath(path)}`);
    button.addEventListener("click", (event) => {
      event.preventDefault();
      openMenu(button, node, path);
    });
    return button;
  };

  const label = (name, isList) => {
    const made = element("span", isList ? "s-quiet" : "tok-propertyName");
    made.textContent = isList ? String(name) : window.synapseVisible(JSON.stringify(name).slice(1, -1));
    return made;
  };

  const countOf = (node) => {
    const count = node.members.length;
    const noun = node.opening === "{" ? ["property", "properties"] : ["item", "items"];
    return `${node.opening}${count} ${noun[count === 1 ? 0 : 1]}${node.closing}`;
  };

  const item = (name, node, path, isList, depth) => {
    const made = element("li", "s-tree-item");
    if (node.text !== undefined || node.members.length === 0) {
      const value = element("span", `s-tree-value ${node.text === undefined ? "s-quiet" : kindOf(node.text)}`);
      value.textContent = node.text ?? node.opening + node.closing;
      made.append(label(name, isList), element("span", "s-quiet", ": "), value, menuButton(node, path));
      return made;
    }
    const details = document.createElement("details");
    const summary = document.createElement("summary");
    summary.append(label(name, isList), element("span", "s-quiet", `: ${countOf(node)}`));
    details.append(summary);
    const fill = () => details.childElementCount === 1 && details.append(list(node, path, depth + 1));
    if (depth < 2 && node.members.length <= 20) {
      details.open = true;
      fill();
    }
    details.addEventListener("toggle", fill);
    // The button is put beside the summary, because some screen readers do not reach buttons within one.
    made.classList.add("s-tree-branch");
    made.append(details, menuButton(node, path));
    return made;
  };

  const list = (node, path, depth) => {
    const made = element("ul", "s-tree");
    const show = (from) => {
      const isList = node.opening === "[";
      made.append(
        ...node.members.slice(from, from + MOST_SHOWN).map(([name, part]) => item(name, part, [...path, name], isList, depth)),
      );
      const left = node.members.length - from - MOST_SHOWN;
      if (left > 0) {
        const more = element("button", "s-button s-small", `${Math.min(left, MOST_SHOWN)} more of ${left}`);
        more.type = "button";
        const row = element("li", "s-tree-item");
        row.append(more);
        more.addEventListener("click", () => {
          row.remove();
          show(from + MOST_SHOWN);
        });
        made.append(row);
      }
    };
    show(0);
    return made;
  };

  const grow = (pre) => {
    if (pre.dataset.tree !== "") {
      return;
    }
    pre.dataset.tree = "grown";
    let node = null;
    try {
      node = parse(pre.textContent);
    } catch {
      return; // It is cut: the text stays.
    }
    if (node.text !== undefined) {
      return;
    }
    const tree = element("div", "s-json s-tree-frame");
    tree.setAttribute("role", "group");
    tree.setAttribute("aria-label", pre.getAttribute("aria-label") ?? "JSON");
    tree.append(list(node, [], 0));
    pre.hidden = true;
    pre.after(tree);
  };

  // The tree is built when it becomes visible, because a page may have many that are never opened.
  const watch = new IntersectionObserver(
    (entries) => {
      for (const entry of entries.filter((each) => each.isIntersecting)) {
        watch.unobserve(entry.target);
        grow(entry.target);
      }
    },
    { rootMargin: "100000px" },
  );

  const prepare = (part) => {
    part.querySelectorAll("pre[data-tree='']").forEach((pre) => watch.observe(pre));
  };

  window.synapseTree = { prepare };
  document.addEventListener("DOMContentLoaded", () => prepare(document));
})();
