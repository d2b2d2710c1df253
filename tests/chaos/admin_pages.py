"""A person in the admin of a running hub: logs in, follows links, sends the forms that the pages hold."""

import re
from html.parser import HTMLParser

import httpx

from tests.acceptance.hub import ADMIN_PASSWORD, Hub


class Form(HTMLParser):
    """The fields of the form of a page that is sent by POST and is not the one to log out."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if tag == "form":
            self._inside = given.get("method", "").lower() == "post" and "logout" not in (given.get("action") or "")
        elif tag == "input" and self._inside and given.get("name"):
            self.fields[str(given["name"])] = given.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "form"


class Person:
    """A logged-in person."""

    def __init__(self, hub: Hub) -> None:
        self._client = httpx.Client(base_url=hub.url, timeout=120, follow_redirects=True)
        login = self.open("/admin/login/?next=/admin/")
        page = self._send(login, username="admin", password=ADMIN_PASSWORD)
        assert page.url.path == "/admin/", page.text

    def __enter__(self) -> "Person":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def open(self, path: str) -> httpx.Response:
        return self._client.get(path).raise_for_status()

    def follow(self, page: httpx.Response, words: str) -> httpx.Response:
        """Click on the link with these words."""
        found = re.search(rf'<a[^>]*href="([^"]+)"[^>]*>\s*(?:<b>)?{re.escape(words)}(?:</b>)?\s*</a>', page.text)
        assert found, f"no link “{words}” on {page.url}"
        return self.open(str(page.url.join(found[1].replace("&amp;", "&"))))

    def redrive_all(self, group: str) -> int:
        """Redrive every dead letter of a group, part after part, as one does whose browser runs no scripts. Return
        how many the page counted before."""
        page = self.follow(self.open("/admin/bridges/bridge/dead-letters/"), group)
        page = self.follow(page, "Redrive all…")
        total = int(Form(page.text).fields["total"])
        while "/redrive/" in page.url.path:
            page = self._send(page)
        return total

    def _send(self, page: httpx.Response, **values: str) -> httpx.Response:
        # Django checks where a form comes from.
        headers = {"Referer": str(page.url)}
        data = {**Form(page.text).fields, **values}
        return self._client.post(str(page.url), data=data, headers=headers).raise_for_status()
