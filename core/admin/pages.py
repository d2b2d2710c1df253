"""Pages of a definition beside its form: what they are declared as, and the tabs that lead to them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page. `path` follows the list's own address, as in `<int:pk>/messages/`.

    `view` is called with the admin of the model, the request and what the path names; who may see the page is its
    own business. The page's URL is named `admin:APP_MODEL_NAME`.
    """

    path: str
    name: str
    view: Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """One of the pages that belong together, as the row of tabs shows it."""

    title: str
    url: str
    active: bool = False
