// Statistics that the server pushes, over one connection a browser.
//
// This file is a page's script and the worker that all pages of a browser share: the worker holds the connection, and
// tells each sample to the pages that are looked at. Without such workers, each page holds one of its own.

(() => {
  // A connection that was refused is tried again after so many milliseconds, and later and later.
  const RETRY = 10_000;
  const MOST_RETRY = 300_000;

  class Connection {
    constructor(tell) {
      this.tell = tell;
      // What each page shows: the streams that it has charts of, and whether it is the overview. A page without either
      // is only told that there is a sample.
      this.watchers = new Map();
      // The lines of the overview, once it was pushed.
      this.overview = null;
      this.server = "";
      this.address = "";
      this.source = null;
      this.timer = 0;
      this.wait = RETRY;
    }

    watch(watcher, { server, shown }) {
      this.server = server;
      if (shown === null) {
        this.watchers.delete(watcher);
      } else {
        this.watchers.set(watcher, shown);
      }
      const address = this.addressOf();
      if (address !== this.address) {
        this.close();
        this.address = address;
        this.wait = RETRY;
        if (address !== "") {
          this.open();
        }
      } else if (shown?.overview && this.overview !== null) {
        this.tell("overview", this.overview.join("\n"), [watcher]);
      }
    }

    addressOf() {
      if (this.watchers.size === 0) {
        return "";
      }
      const shown = [...this.watchers.values()];
      const streams = [...new Set(shown.flatMap((each) => each.streams))].sort();
      const names = streams.map((name) => `stream=${encodeURIComponent(name)}`);
      const page = shown.some((each) => each.overview) ? "&page=overview" : "";
      return `${this.server}?${names.length > 0 ? names.join("&") : "series=published"}${page}`;
    }

    close() {
      clearTimeout(this.timer);
      this.source?.close();
      this.source = null;
      this.overview = null;
    }

    open() {
      const source = new EventSource(this.address);
      this.source = source;
      source.addEventListener("sample", (event) => {
        this.wait = RETRY;
        this.tell("sample", JSON.parse(event.data), this.watchers.keys());
      });
      // All of it first on each connection, then the lines that are others.
      source.addEventListener("overview", (event) => {
        const { html, lines } = JSON.parse(event.data);
        if (html !== undefined) {
          this.overview = html.split("\n");
        } else {
          Object.assign(this.overview, lines);
        }
        const shown = [...this.watchers].filter(([, each]) => each.overview);
        this.tell("overview", this.overview.join("\n"), shown.map(([watcher]) => watcher));
      });
      source.onerror = () => {
        // Somebody else may be logged in when it comes back.
        this.overview = null;
        // The browser comes back by itself after a break; after a refusal it does not.
        if (source === this.source && source.readyState === EventSource.CLOSED) {
          this.timer = setTimeout(() => this.open(), this.wait);
          this.wait = Math.min(2 * this.wait, MOST_RETRY);
        }
      };
    }
  }

  // ---- In the shared worker.

  if (typeof SharedWorkerGlobalScope !== "undefined" && self instanceof SharedWorkerGlobalScope) {
    const connection = new Connection((name, detail, ports) => {
      for (const port of ports) {
        port.postMessage({ name, detail });
      }
    });
    self.onconnect = ({ ports: [port] }) => {
      port.onmessage = (event) => connection.watch(port, event.data);
    };
    return;
  }

  // ---- In a page.

  const address = document.currentScript.src;

  const connect = (tell) => {
    try {
      // By its name it is no worker of pages from before an upgrade, which tell it other things.
      const { port } = new SharedWorker(address, "pages");
      port.onmessage = (event) => tell(event.data.name, event.data.detail);
      return (wanted) => port.postMessage(wanted);
    } catch {
      const connection = new Connection(tell);
      return (wanted) => connection.watch(connection, wanted);
    }
  };

  // Fire `synapse:sample` for each sample while the page is looked at, by a person who may see statistics; on the
  // overview before it `synapse:overview`, with its parts as HTML.
  window.followStatistics = () => {
    const server = document.querySelector("meta[name=live-statistics]")?.content;
    if (server === undefined) {
      return;
    }
    const page = {
      streams: [...document.querySelectorAll("[data-charts]")].map((part) => part.dataset.stream),
      overview: document.querySelector("[data-pushed]") !== null,
    };
    const tell = connect((name, detail) => window.dispatchEvent(new CustomEvent(`synapse:${name}`, { detail })));
    const watch = (shown) => tell({ server, shown });
    const turn = () => watch(document.hidden ? null : page);
    document.addEventListener("visibilitychange", turn);
    window.addEventListener("pagehide", () => watch(null));
    window.addEventListener("pageshow", turn);
  };
})();
