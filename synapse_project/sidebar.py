"""The admin's name, style files and sidebar (settings of django-unfold), evaluated before any model is loaded."""

from collections.abc import Callable, Collection

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def _static_file(path: str) -> Callable[[object], str]:
    """Return a function that returns a static file's URL, because the settings are not loaded yet."""
    return lambda _: static(path)


def _is_shown(request: HttpRequest, model: str, page: str, apart: Collection[str]) -> bool:
    """Say whether a line of the sidebar is the one of the current page.

    The line of a list (`changelist`) also stands for the model's other pages, except for those in `apart`. The line of
    another page also stands for pages whose names begin with its name and an underscore.
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


def _sidebar_line(title: str, icon: str, model: str, page: str = "changelist", *, apart: str = "") -> dict[str, object]:
    """Return a line of the sidebar, shown with the permission to view the model. `apart` names a page with its own
    line.
    """
    app, name = model.split(".")
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{name}_{page}"),
        "permission": lambda request: request.user.has_perm(f"{app}.view_{name}"),
        "active": lambda request: _is_shown(request, f"{app}_{name}", page, (apart,)),
    }


def _sidebar_group(title: str, *lines: dict[str, object]) -> dict[str, object]:
    """Return a group of lines. It and its lines have each key that the theme's templates read: Django's search for one
    that is missing takes longer than all else of drawing a line.
    """
    absent = {"badge_callback": None, "link_callback": None}
    items = [{**absent, **line} for line in lines]
    return {"title": title, "items": items, "collapsible": False, "separator": False, "badge_callback": None}


UNFOLD: dict[str, object] = {
    "SITE_TITLE": "Synapse",
    "SITE_HEADER": "Synapse",
    "SITE_SUBHEADER": "Streams, contracts, services",
    "SITE_SYMBOL": "hub",
    "SITE_URL": None,
    "LOGIN": {"form": "core.logins.LoginForm"},
    "ACCOUNT": {
        "navigation": [
            {"title": "API documentation", "link": "/docs"},
            {"title": "Change password", "link": reverse_lazy("admin:password_change")},
        ]
    },
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _static_file("core/favicon.svg")}],
    "STYLES": [_static_file("core/colors.css"), _static_file("core/admin.css")],
    "SCRIPTS": [_static_file("core/live-statistics.js"), _static_file("core/admin.js")],
    "SHOW_VIEW_ON_SITE": False,
    "DASHBOARD_CALLBACK": "core.admin.home.context",
    # The search finds definitions by name, and events by an id in them.
    "COMMAND": {
        "search_callback": "streams.admin.events.find.offer_events",
        "search_models": [
            "streams.stream",
            "bridges.bridge",
            "streams.eventtype",
            "contracts.contract",
            "streams.service",
        ],
    },
    "SIDEBAR": {
        "show_search": True,
        "command_search": True,
        "navigation": [
            _sidebar_group(
                "Operate",
                {"title": "Overview", "icon": "space_dashboard", "link": reverse_lazy("admin:index")},
                {
                    **_sidebar_line("Alerts", "notifications", "alerts.alertrule", "now"),
                    "badge": "alerts.admin.badge.count",
                    # Also active on the pages of rules and silences.
                    "active": lambda request: _is_shown(request, "alerts", "changelist", ()),
                },
                _sidebar_line("Streams", "waves", "streams.stream", apart="explorer"),
                _sidebar_line("Explorer", "travel_explore", "streams.stream", "explorer"),
                _sidebar_line("Bridges", "conversion_path", "bridges.bridge", apart="dead_letters"),
                _sidebar_line("Dead letters", "mark_email_unread", "bridges.bridge", "dead_letters"),
                _sidebar_line("Archived events", "inventory_2", "bridges.archivedevent", apart="summaries"),
                {
                    **_sidebar_line("Summaries", "monitoring", "bridges.archivedevent", "summaries"),
                    # A dotted path, because models are not loaded yet.
                    "permission": "bridges.admin.archive.is_offered",
                },
                _sidebar_line("Integration status", "monitor_heart", "streams.service", "integration"),
            ),
            _sidebar_group(
                "Define",
                _sidebar_line("Event types", "category", "streams.eventtype"),
                _sidebar_line("Contracts", "contract", "contracts.contract"),
                _sidebar_line("Services", "dns", "streams.service", apart="integration"),
                _sidebar_line("Grants", "key", "streams.grant"),
                _sidebar_line("Secrets", "lock", "bridges.secret"),
            ),
            _sidebar_group(
                "Administer",
                _sidebar_line("Users", "group", "auth.user"),
                _sidebar_line("Roles", "badge", "core.role"),
                _sidebar_line("Audit log", "history_edu", "core.auditentry", "story"),
                _sidebar_line("Audit entries", "history", "core.auditentry", apart="story"),
            ),
        ],
    },
    # Empty, so that the theme writes no inline styles. The colours are in `core/colors.css`.
    "COLORS": lambda _: {},
}
