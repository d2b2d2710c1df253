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
      // The streams that each page shows charts of; a page without any is only told that there is a sample.
      this.watchers = new Map();
      this.server = "";
      this.address = "";
      this.source = null;
      this.timer = 0;
      this.wait = RETRY;
    }

    watch(watcher, { server, streams }) {
      this.server = server;
      if (streams === null) {
        this.watchers.delete(watcher);
      } else {
        this.watchers.set(watcher, streams);
      }
      const address = this.addressOf();
      if (address !== this.address) {
        this.close();
        this.address = address;
        this.wait = RETRY;
        if (address !== "") {
          this.open();
        }
      }
    }

    addressOf() {
      if (this.watchers.size === 0) {
        return "";
      }
      const streams = [...new Set([...this.watchers.values()].flat())].sort();
      const names = streams.map((name) => `stream=${encodeURIComponent(name)}`);
      return `${this.server}?${names.length > 0 ? names.join("&") : "series=published"}`;
    }

    close() {
      clearTimeout(this.timer);
      this.source?.close();
      this.source = null;
    }

    open() {
      const source = new EventSource(this.address);
      this.source = source;
      source.addEventListener("sample", (event) => {
        this.wait = RETRY;
        this.tell(JSON.parse(event.data));
      });
      source.onerror = () => {
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
    const connection = new Connection((sample) => {
      for (const port of connection.watchers.keys()) {
        port.postMessage(sample);
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
      const { port } = new SharedWorker(address);
      port.onmessage = (event) => tell(event.data);
      return (wanted) => port.postMessage(wanted);
    } catch {
      const connection = new Connection(tell);
      return (wanted) => connection.watch(connection, wanted);
    }
  };

  // Fire `synapse:sample` for each sample while the page is looked at, by a person who may see statistics.
  window.followStatistics = () => {
    const server = document.querySelector("meta[name=live-statistics]")?.content;
    if (server === undefined) {
      return;
    }
    const streams = [...document.querySelectorAll("[data-charts]")].map((part) => part.dataset.stream);
    const tell = connect((detail) => window.dispatchEvent(new CustomEvent("synapse:sample", { detail })));
    const watch = (wanted) => tell({ server, streams: wanted });
    const turn = () => watch(document.hidden ? null : streams);
    document.addEventListener("visibilitychange", turn);
    window.addEventListener("pagehide", () => watch(null));
    window.addEventListener("pageshow", turn);
  };
})();
