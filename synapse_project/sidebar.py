"""What the admin is called, and where one can go in it (settings of django-unfold)."""

from django.urls import reverse_lazy

from core import theme


def _page(title: str, icon: str, model: str, page: str = "changelist", *, apart: str = "") -> dict[str, object]:
    """Return a line of the sidebar, for those who may see the model; a page `apart` has a line of its own."""
    app, name = model.split(".")
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{name}_{page}"),
        "permission": lambda request: request.user.has_perm(f"{app}.view_{name}"),
        "active": lambda request: theme.is_shown(request, f"{app}_{name}", page, (apart,)),
    }


UNFOLD: dict[str, object] = {
    "SITE_TITLE": "Synapse",
    "SITE_HEADER": "Synapse",
    "SITE_SUBHEADER": "Streams, contracts, services",
    "SITE_SYMBOL": "hub",
    "SITE_URL": None,
    "LOGIN": {"form": "core.login_throttle.LoginForm"},
    "ACCOUNT": {
        "navigation": [
            {"title": "API documentation", "link": "/docs"},
            {"title": "Change password", "link": reverse_lazy("admin:password_change")},
        ]
    },
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": theme.file("core/favicon.svg")}],
    "STYLES": [theme.file("core/colors.css"), theme.file("core/admin.css")],
    "SCRIPTS": [theme.file("core/admin.js")],
    "SHOW_VIEW_ON_SITE": False,
    "DASHBOARD_CALLBACK": "core.admin.home.context",
    "SIDEBAR": {
        "navigation": [
            {"items": [{"title": "Overview", "icon": "space_dashboard", "link": reverse_lazy("admin:index")}]},
            {
                "title": "Streams",
                "items": [
                    _page("Streams", "waves", "streams.stream"),
                    _page("Event types", "category", "streams.eventtype"),
                ],
            },
            {
                "title": "Bridges",
                "items": [
                    _page("Bridges", "conversion_path", "bridges.bridge", apart="dead_letters"),
                    _page("Dead letters", "mark_email_unread", "bridges.bridge", "dead_letters"),
                    _page("Secrets", "lock", "bridges.secret"),
                    _page("Archived events", "inventory_2", "bridges.archivedevent", apart="inference"),
                    _page("Inference summary", "monitoring", "bridges.archivedevent", "inference"),
                ],
            },
            {"title": "Contracts", "items": [_page("Contracts", "contract", "contracts.contract")]},
            {
                "title": "Services",
                "items": [
                    _page("Services", "dns", "streams.service", apart="integration"),
                    _page("Grants", "key", "streams.grant"),
                    _page("Integration status", "monitor_heart", "streams.service", "integration"),
                ],
            },
            {
                "title": "Record",
                "items": [
                    _page("What happened", "history_edu", "core.auditentry", "story"),
                    _page("Audit entries", "history", "core.auditentry", apart="story"),
                ],
            },
            {"title": "People", "items": [_page("People", "group", "auth.user"), _page("Roles", "badge", "core.role")]},
        ],
    },
    "COLORS": theme.no_colors,
}
