"""Groups in the admin: their pages are further pages of the bridges, which know whose they are.

- `actions`  a new group
- `actions`    one group, and what can be done with it: pause, resume, move, delete
"""

from bridges.admin.groups import actions
from core.admin.base import Page

_OF_GROUP = "groups/<int:pk>/<str:group>/"

PAGES = (
    Page(path="new-group/<int:pk>/", name="group_new", view=actions.create),
    Page(path=_OF_GROUP, name="group", view=actions.look),
    *(
        Page(path=f"{_OF_GROUP}{name}/", name=f"group_{name}", view=view)
        for name, view in (
            ("pause", actions.pause),
            ("resume", actions.resume),
            ("move", actions.move),
            ("delete", actions.delete),
        )
    ),
)
