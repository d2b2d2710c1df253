"""How the admin looks, and where its files are. Settings are made of this, so no models are known here."""

from collections.abc import Callable, Collection

from django.http import HttpRequest
from django.templatetags.static import static


def file(path: str) -> Callable[[object], str]:
    """Return what gives the address of a static file: only when it is asked for are the settings known."""
    return lambda _: static(path)


def no_colors(_: object) -> dict[str, dict[str, str]]:
    """Keep the theme from writing its colours into the pages: they are in `core/colors.css`."""
    return {}


def is_shown(request: HttpRequest, model: str, page: str, apart: Collection[str]) -> bool:
    """Say whether a line of the sidebar is that of the page that is shown.

    The line of a list (`changelist`) is also that of the model's other pages, but for those `apart`; a page's line is
    also that of the pages below it, whose names begin with its own.
    """
    shown = (request.resolver_match.url_name if request.resolver_match else None) or ""
    name = shown.removeprefix(f"{model}_")
    if name == shown:
        return False
    if page != "changelist":
        return _is_below(name, page)
    return not any(_is_below(name, one) for one in apart if one)


def _is_below(name: str, page: str) -> bool:
    return name == page or name.startswith(f"{page}_")
