"""Alerts in the admin.

- `pages`     the current alerts, and their history
- `rules`     all rules, and the form of one
- `silences`  silences: list, create and end
- `badge`     the number in the sidebar
"""

from alerts.admin import pages, rules, silences
from streams.admin import attention

attention.FIRING_ALERTS.append(pages.firing_alerts)

__all__ = ["rules", "silences"]
