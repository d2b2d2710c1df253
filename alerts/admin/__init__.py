"""Alerts in the admin.

- `pages`     the alerts that there are, and their history
- `rules`     all rules, and the form of one
- `silences`  silences: made and ended
- `badge`     the number in the sidebar
"""

from alerts.admin import pages, rules, silences
from core.admin import home as first_page

first_page.add(first_page.Part(template="alerts/admin/home.html", values=pages.home_values), is_first=True)

__all__ = ["rules", "silences"]
