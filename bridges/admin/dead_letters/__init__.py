"""Dead letters in the admin. They have no database rows, so their pages belong to the admin of bridges.

- `lists`      the groups with dead letters, the letters of one group, one letter, and their export
- `actions`    redriving and discarding, in parts
- `selection`  the group that a page is about
"""

from bridges.admin.dead_letters import actions, lists
from core.admin.base import Page

_OF_GROUP = "dead-letters/<int:pk>/<str:group>/"

PAGES = (
    Page(path="dead-letters/", name="dead_letters", view=lists.show_groups),
    Page(path=_OF_GROUP, name="dead_letters_group", view=lists.show_group),
    Page(path=f"{_OF_GROUP}export/", name="dead_letters_export", view=lists.export_group),
    Page(path=f"{_OF_GROUP}redrive/", name="dead_letters_redrive", view=actions.redrive),
    Page(path=f"{_OF_GROUP}discard/", name="dead_letters_discard", view=actions.discard),
    # Must stay last: `<str:id>` would also match `export`.
    Page(path=f"{_OF_GROUP}<str:id>/", name="dead_letters_one", view=lists.show_letter),
)
