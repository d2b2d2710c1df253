"""Bridges in the admin, with their groups, dead letters and archived events.

- `bridges`  the list of bridges with their states (`bridge_states`), a bridge's definition (`bridge_form`, with its
  fields in `bridge_fields`), and the first page's part about bridges; `bridge_actions` are its buttons
- `attention`  lines of the first page about bridges that need attention
- `dead_letters`  pages that show, redrive and discard dead letters
- `groups`   pages that create, pause, move and delete a stream's groups
- `secrets`  secrets of bridges, which can be set but not read
- `archive`  archived events, read-only, and their summaries
- `timeline` the timeline of one event, on its page
"""

from bridges.admin import archive, attention, bridges, secrets, timeline
from core.admin import home as first_page
from streams.admin import attention as streams_attention
from streams.admin import tabs
from streams.admin.events.messages import MESSAGE_PARTS, MessagePart
from streams.admin.tabs import AdditionLink, PageLink
from synapse.auth.permission import VIEW_PAYLOAD

_LOOK, _ACT = "bridges.view_bridge", "bridges.change_bridge"
tabs.STREAM_PAGES.append(PageLink("New group", "admin:bridges_bridge_group_new", (_ACT,)))
tabs.GROUP_PAGES.append(PageLink("Manage", "admin:bridges_bridge_group", (_LOOK,)))
tabs.GROUP_PAGES.append(PageLink("Dead letters", "admin:bridges_bridge_dead_letters_group", (_LOOK, VIEW_PAYLOAD)))
tabs.STREAM_ADDITIONS.append(
    AdditionLink("Add a bridge", lambda stream: tabs.add_url("bridges_bridge", stream=stream.pk), "bridges.add_bridge")
)
MESSAGE_PARTS.append(MessagePart(template="bridges/admin/timeline.html", values=timeline.values_of))
streams_attention.READER_LINES.append(attention.find_lines)
streams_attention.READER_PAGES.append(attention.pages_of_bridges)
first_page.add(first_page.Part(template="bridges/admin/home.html", values=bridges.home_values))

__all__ = ["archive", "bridges", "secrets"]
