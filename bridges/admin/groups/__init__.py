"""Groups in the admin: their pages are further pages of the bridges, which know whose they are.

- `creating`  a new group
- `acting`    one group, and what can be done with it: pause, resume, move, delete
"""

from bridges.admin.groups import acting, creating
from core.admin.pages import Page

_OF_GROUP = "groups/<int:pk>/<str:group>/"

PAGES = (
    Page(path="new-group/<int:pk>/", name="group_new", view=creating.create),
    Page(path=_OF_GROUP, name="group", view=acting.look),
    *(
        Page(path=f"{_OF_GROUP}{name}/", name=f"group_{name}", view=view)
        for name, view in (
            ("pause", acting.pause),
            ("resume", acting.resume),
            ("move", acting.move),
            ("delete", acting.delete),
        )
    ),
)
