"""How the admin looks: its colours, and where its files are. Settings are made of this, so no models are known here."""

from collections.abc import Callable, Collection

from django.http import HttpRequest
from django.templatetags.static import static

# Tailwind's indigo. The theme writes text on dark in 500, so that is a step lighter than Tailwind's.
COLORS = {
    "primary": {
        "50": "oklch(96.2% .018 272.314)",
        "100": "oklch(93% .034 272.788)",
        "200": "oklch(87% .065 274.039)",
        "300": "oklch(78.5% .115 274.713)",
        "400": "oklch(73% .15 275.5)",
        "500": "oklch(67.3% .182 276.935)",
        "600": "oklch(51.1% .262 276.966)",
        "700": "oklch(45.7% .24 277.023)",
        "800": "oklch(39.8% .195 277.366)",
        "900": "oklch(35.9% .144 278.697)",
        "950": "oklch(25.7% .09 281.288)",
    },
}


def file(path: str) -> Callable[[object], str]:
    """Return what gives the address of a static file: only when it is asked for are the settings known."""
    return lambda _: static(path)


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
