"""Bridges in the admin, and the events that they keep.

- `bridges`  the list with the state of each, and a bridge's definition
- `secrets`  what bridges sign with and send, to be set and never read
- `archive`  archived events, to be read
- `summary`  what the archived inference events say together
- `home`     their part of the first page
"""

from bridges.admin import archive, bridges, home, secrets
from core.admin import home as first_page

first_page.add(first_page.Part(template="bridges/admin/home.html", values=home.values))

__all__ = ["archive", "bridges", "secrets"]
