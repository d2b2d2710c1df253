"""Every page works under its Content Security Policy: the browser refuses nothing of ours, and all that is not."""

from urllib.parse import urlsplit

import pytest

pytestmark = pytest.mark.process

NO_PAGES = ("logout", "download", "jsi18n", "export", "/python/", "/schema/", ".json", ".py")
# Puts what an attacker would into the page, and returns which rules of the policy refused it.
SLIP_IN = """
async () => {
  const refused = [];
  document.addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective));
  const add = (name, values) => document.body.append(Object.assign(document.createElement(name), values));
  add("script", { textContent: "window.ran = 1" });
  add("script", { src: "https://evil.example/x.js" });
  add("style", { textContent: "body { background: url(https://evil.example/x) }" });
  add("img", { src: "https://evil.example/x.png" });
  const button = document.createElement("button");
  button.setAttribute("onclick", "window.ran = 2");
  document.body.append(button);
  button.click();
  const until = Date.now() + 10_000;
  while (refused.length < 5 && Date.now() < until) {
    await new Promise((done) => setTimeout(done, 20));
  }
  return refused.sort();
}
"""


def is_no_page(address):
    return any(word in address for word in NO_PAGES)


def kind(path):
    """Return an address without its numbers and names of streams: one page of each kind is enough."""
    return tuple("#" if any(mark.isdigit() for mark in part) else part for part in urlsplit(path).path.split("/"))


def test_injected_scripts_styles_and_images_are_blocked(person, hub):
    page = person.new_page()  # not a watched one: its browser is to complain
    page.goto(f"{hub.url}/admin/")
    refused = page.evaluate(SLIP_IN)

    assert refused == ["img-src", "script-src-attr", "script-src-elem", "script-src-elem", "style-src-elem"]
    assert page.evaluate("window.ran") is None
    page.close()
