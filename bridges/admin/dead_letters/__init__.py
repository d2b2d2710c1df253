"""Dead letters in the admin. They are no rows, so their pages are further pages of the bridges.

- `looking`  where there are any, those of one group, one of them, and a file of them
- `acting`   redriving and discarding, part after part
- `place`    the group that a page is about
"""

from bridges.admin.dead_letters import acting, looking, one
from core.admin.pages import Page

_OF_GROUP = "dead-letters/<int:pk>/<str:group>/"

PAGES = (
    Page(path="dead-letters/", name="dead_letters", view=looking.everywhere),
    Page(path=_OF_GROUP, name="dead_letters_group", view=looking.of_group),
    Page(path=f"{_OF_GROUP}export/", name="dead_letters_export", view=looking.export),
    Page(path=f"{_OF_GROUP}redrive/", name="dead_letters_redrive", view=acting.redrive),
    Page(path=f"{_OF_GROUP}discard/", name="dead_letters_discard", view=acting.discard),
    # Last: those above are no ids.
    Page(path=f"{_OF_GROUP}<str:id>/", name="dead_letters_one", view=one.look),
)
