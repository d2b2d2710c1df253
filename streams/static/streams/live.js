// “Watch live” in the explorer: new events of the chosen streams appear as they are stored, over one connection to the
// API's live tail.
// Content from publishers is set as text, never as HTML.

(() => {
  const MOST_SHOWN = 200;
  const MOST_OF_LINE = 400;

  const element = (name, className, text) => {
    const made = document.createElement(name);
    made.className = className;
    made.textContent = window.synapseVisible(text);
    return made;
  };

  const clock = (id) => {
    const at = new Date(Number(id.split("-")[0]));
    if (Number.isNaN(at.getTime())) {
      return "—";
    }
    // The markup of core.templatetags.synapse.clock_time; the page's script converts it to the local time zone.
    const time = element("time", "", at.toISOString().slice(11, 23));
    time.dateTime = at.toISOString();
    time.title = `${time.dateTime.replace("T", " ").replace("Z", "")} UTC`;
    time.dataset.clock = time.dateTime.slice(19, 23);
    return time;
  };

  // Keeps the text of numbers: JavaScript's numbers would lose digits of long ones, and the “.0” of 33.0.
  const exact = (_, value, context) =>
    typeof value === "number" && context?.source && JSON.rawJSON ? JSON.rawJSON(context.source) : value;

  const read = (text) => ({ ...JSON.parse(text), event: JSON.parse(text, exact).event });

  // Like the rows of the search: without the event type, which has its own column.
  const lineOf = ({ event_type: _, ...event }) => JSON.stringify(event).slice(0, MOST_OF_LINE);

  const typeOf = (message, isOfMany) => {
    const type = element("span", "s-message-type s-hostile", message.event_type ?? "(no type)");
    if (isOfMany) {
      type.append(element("span", "s-under s-quiet", message.stream));
    }
    return type;
  };

  // `pages`: the address of the messages of each stream that existed when the page was opened.
  const row = (message, pages, isOfMany) => {
    const summary = element("summary", "s-message-row", "");
    const when = element("span", "s-message-time s-number", "");
    when.append(clock(message.id));
    summary.append(
      when,
      element("span", "s-message-id s-mono", message.id),
      typeOf(message, isOfMany),
      element("span", "s-message-line s-mono s-hostile", lineOf(message.event)),
    );
    const json = element("pre", "s-json s-hostile", JSON.stringify(message.event, null, 2));
    json.tabIndex = 0;
    json.id = `live-${message.stream}-${message.id}`;
    json.dataset.tree = "";
    json.setAttribute("aria-label", `Event ${message.id}`);
    const copy = element("button", "s-button s-small", "Copy as JSON");
    copy.type = "button";
    copy.dataset.copy = json.id;
    const buttons = element("div", "s-buttons", "");
    if (pages[message.stream]) {
      const link = element("a", "s-button s-small", "Open");
      link.href = `${pages[message.stream]}${message.id}/`;
      buttons.append(link);
    }
    buttons.append(copy);
    const body = element("div", "s-message-body", "");
    body.append(buttons, json);
    const made = document.createElement("details");
    made.append(summary, body);
    window.synapseTree.prepare(made);
    return made;
  };

  const prepare = (part) => {
    const button = part.querySelector("button");
    const state = part.querySelector("[role=status]");
    const list = part.querySelector(".s-messages");
    const pages = JSON.parse(part.dataset.messages);
    let source = null;

    const say = (text) => {
      state.textContent = text;
    };

    const stop = (text) => {
      source.close();
      source = null;
      button.textContent = "Watch live";
      say(text);
    };

    const start = () => {
      source = new EventSource(part.dataset.watch);
      button.textContent = "Stop watching";
      say("Connecting…");
      source.onopen = () => say("Watching: new events appear here.");
      source.onmessage = (event) => {
        list.hidden = false;
        list.prepend(row(read(event.data), pages, "many" in part.dataset));
        if (list.childElementCount > MOST_SHOWN) {
          list.lastElementChild.remove();
        }
      };
      source.addEventListener("gap", (event) => {
        const { stream, detail } = JSON.parse(event.data);
        say(`${stream}: ${detail}`);
      });
      source.onerror = () => {
        // The browser reconnects by itself when the connection breaks, but not after a refusal.
        if (source.readyState === EventSource.CLOSED) {
          stop("This cannot be watched now.");
        } else {
          say("The connection was lost. Coming back, with what was missed…");
        }
      };
    };

    button.addEventListener("click", () => (source === null ? start() : stop("")));
    part.hidden = false;
  };

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("[data-watch]").forEach(prepare);
  });
})();
