// Statistics pushed by the server, over one connection per browser.
//
// This file is both the script of a page and the shared worker of all pages in a browser. The worker holds the
// connection, and passes each sample to the visible pages. In a browser without shared workers, each page has its own
// connection.

(() => {
  // A refused connection is retried after this many milliseconds; the delay doubles each time, up to MOST_RETRY.
  const RETRY = 10_000;
  const MOST_RETRY = 300_000;

  class Connection {
    constructor(tell) {
      this.tell = tell;
      // What each page shows: the streams in its charts, and whether it is the overview. Any other page only needs to
      // know that there is a sample.
      this.watchers = new Map();
      // The lines of the overview's HTML, after the first push.
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
      // Each connection begins with the whole HTML; then only changed lines come.
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
        // After a reconnect another person may be logged in.
        this.overview = null;
        // The browser reconnects by itself after a broken connection, but not after a refused one.
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
      // The name keeps pages apart from a worker of an older version, whose messages differ.
      const { port } = new SharedWorker(address, "pages");
      port.onmessage = (event) => tell(event.data.name, event.data.detail);
      return (wanted) => port.postMessage(wanted);
    } catch {
      const connection = new Connection(tell);
      return (wanted) => connection.watch(connection, wanted);
    }
  };

  // Fire `synapse:sample` for each sample while the page is visible, if the person may see statistics. On the overview,
  // `synapse:overview`, with its parts as HTML, comes before it.
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
