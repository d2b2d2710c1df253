"""The routes of bridges."""

from bridges.api import dead_letters, groups, pull
from core.views import route

_GROUPS = "/streams/{stream}/groups"
_DEAD_LETTERS = f"{_GROUPS}/{{group}}/dead-letters"

urlpatterns = [
    # What streams shows of groups, and what is done with them: one path is one view.
    route(_GROUPS, groups.Groups.as_view(), "groups"),
    route(f"{_GROUPS}/{{group}}", groups.OneGroup.as_view(), "group"),
    route(f"{_GROUPS}/{{group}}/pause", groups.Pause.as_view(), "pause-group"),
    route(f"{_GROUPS}/{{group}}/resume", groups.Resume.as_view(), "resume-group"),
    route(f"{_GROUPS}/{{group}}/move", groups.Move.as_view(), "move-group"),
    route(_DEAD_LETTERS, dead_letters.DeadLetters.as_view(), "dead-letters"),
    # Before the one that takes any id: those are no ids.
    route(f"{_DEAD_LETTERS}/redrive", dead_letters.Redrive.as_view(), "redrive"),
    route(f"{_DEAD_LETTERS}/discard", dead_letters.Discard.as_view(), "discard"),
    route(f"{_DEAD_LETTERS}/{{id}}", dead_letters.OneDeadLetter.as_view(), "dead-letter"),
    route(f"{_DEAD_LETTERS}/{{id}}/redrive", dead_letters.RedriveOne.as_view(), "redrive-one"),
    route(f"{_DEAD_LETTERS}/{{id}}/discard", dead_letters.DiscardOne.as_view(), "discard-one"),
    route("/v1/publish", pull.Publish.as_view(), "pull-publish"),
    route("/v1/read", pull.Read.as_view(), "pull-read"),
    route("/v1/ack", pull.Ack.as_view(), "pull-ack"),
    route("/v1/nack", pull.Nack.as_view(), "pull-nack"),
    route("/v1/extend", pull.Extend.as_view(), "pull-extend"),
]
