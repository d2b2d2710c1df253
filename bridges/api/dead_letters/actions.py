"""Acting on dead letters: delivering them again, or throwing them away. Each request does a part that is soon done."""

from dataclasses import asdict
from functools import partial
from typing import Any

from bridges import dead_letters
from bridges.api.dead_letters import models
from bridges.api.dead_letters.queries import ID, PATH
from bridges.api.dead_letters.queries import PROBLEMS as SEEN
from bridges.dead_letters import Ids
from bridges.dead_letters.permissions import ACTING
from synapse.endpoints import Call, Example, endpoint
from synapse.errors.delivery import NoSuchDeadLetter
from synapse.inspection.range_query import asked_id

PROBLEMS = {
    **SEEN,
    409: "So many events wait in the group already that no more can be added; or Redis holds something else there.",
    503: "Redis cannot be used now. The same request again does no harm.",
}
_PART = {"gone": 0, "left": 112, "cursor": "1795432911042-0"}


_acts = partial(endpoint, tag="dead letters", requires=ACTING)


@_acts(
    "POST",
    f"{PATH}/redrive",
    "Redrive dead letters",
    models.RedrivenOrMeant,
    body=models.RedriveAsked,
    problems=PROBLEMS,
    examples=[
        Example("named ones", {"ids": [models.ID]}),
        Example("those of one error, ten a second", {"filter": {"fingerprint": "5e5f1b5b8c3d"}, "rate": 10}),
        Example("how many that would be", {"all": True, "dry_run": True}),
        Example("a part", {"redriven": 1000, "waiting": 0, "broken": 0, **_PART}, 200),
    ],
)
def redrive_dead_letters(call: Call[None, models.RedriveAsked]) -> dict[str, Any]:
    """They are delivered again with all attempts available, the newest first, up to 1,000 in a request. To continue,
    repeat the request with the answer's `cursor`, until that is null. Events that fail again meanwhile are not redriven
    twice. One that is not there (any more) is counted as `gone`."""
    stream, group, asked = call.params["stream"], call.params["group"], call.body
    which = asked.which()
    dead_letters.check_place(stream, group)
    if asked.dry_run:
        return {"dry_run": True, **asdict(dead_letters.meant(stream, group, which))}
    redriven = dead_letters.redrive(
        stream, group, which, by=call.by, rate=asked.rate, cursor=asked.cursor, most=asked.count
    )
    each = [{"id": id_, "result": _word(result)} for id_, result in redriven.results]
    return {
        "redriven": redriven.moved,
        "gone": redriven.gone,
        "waiting": redriven.waiting,
        "broken": redriven.broken,
        **({"results": each} if isinstance(which, Ids) else {}),
        "left": dead_letters.count(stream, group),
        "cursor": redriven.cursor,
    }


@_acts(
    "POST",
    f"{PATH}/discard",
    "Discard dead letters",
    models.DiscardedOrMeant,
    body=models.DiscardAsked,
    problems={**PROBLEMS, 422: "No reason was given."},
    examples=[
        Example("named ones", {"ids": [models.ID], "reason": "test orders"}),
        Example("a part", {"discarded": 1000, **_PART}, 200),
    ],
)
def discard_dead_letters(call: Call[None, models.DiscardAsked]) -> dict[str, Any]:
    """They are deleted for good. In parts, as redriving; the reason is recorded with each."""
    stream, group, asked = call.params["stream"], call.params["group"], call.body
    which = asked.which()
    dead_letters.check_place(stream, group)
    if asked.dry_run:
        return {"dry_run": True, **asdict(dead_letters.meant(stream, group, which))}
    done = dead_letters.discard(
        stream, group, which, by=call.by, reason=asked.reason, cursor=asked.cursor, most=asked.count
    )
    left = dead_letters.count(stream, group)
    return {"discarded": done.count, "gone": done.gone, "left": left, "cursor": done.cursor}


@_acts(
    "POST",
    f"{PATH}/{{id}}/redrive",
    "Redrive a dead letter, as it is or edited",
    models.RedrivenOne,
    body=models.RedriveOneAsked,
    parameters=[ID],
    problems={**PROBLEMS, 422: "The event breaks its contract, or does not name its type."},
    examples=[
        Example("as it is", {}),
        Example("edited", {"event": {**models.EVENT, "confidence": 0.92}}),
        Example("on its way", {"id": models.ID, "result": "redriven"}, 200),
    ],
)
def redrive_dead_letter(call: Call[None, models.RedriveOneAsked]) -> dict[str, Any]:
    """With an `event`, that one goes out in its place, under its id, if publishing it would be accepted. One that is
    not there (any more) is answered with the result `gone`."""
    stream, group, id_ = call.params["stream"], call.params["group"], str(asked_id(call.params["id"]))
    is_edited = "event" in call.body.model_fields_set
    dead_letters.check_place(stream, group)
    try:
        letter = dead_letters.get(stream, group, id_)
        if call.body.dry_run:
            if is_edited:
                dead_letters.demand_editing(letter, call.by)
            event = call.body.event if is_edited else dict(letter.event)
            verdict = dead_letters.judge(stream, event, letter=letter, by=call.by)
            return {"id": id_, "dry_run": True, "check": verdict.as_dict()}
        if is_edited:
            return _edited(call, id_)
    except NoSuchDeadLetter:
        return {"id": id_, "result": "gone"}
    redriven = dead_letters.redrive(stream, group, Ids((id_,)), by=call.by)
    return {"id": id_, "result": _word(redriven.results[0][1])}


@_acts(
    "POST",
    f"{PATH}/{{id}}/discard",
    "Discard a dead letter",
    models.DiscardedOne,
    body=models.DiscardOneAsked,
    problems={**PROBLEMS, 422: "No reason was given."},
    parameters=[ID],
    examples=[
        Example("why", {"reason": "a test order"}),
        Example("deleted for good", {"id": models.ID, "result": "discarded"}, 200),
    ],
)
def discard_dead_letter(call: Call[None, models.DiscardOneAsked]) -> dict[str, Any]:
    """It is deleted for good; the reason is recorded."""
    stream, group, id_ = call.params["stream"], call.params["group"], str(asked_id(call.params["id"]))
    dead_letters.check_place(stream, group)
    done = dead_letters.discard(stream, group, Ids((id_,)), by=call.by, reason=call.body.reason)
    return {"id": id_, "result": "discarded" if done.count else "gone"}


def _edited(call: Call[None, models.RedriveOneAsked], id_: str) -> dict[str, Any]:
    stream, group = call.params["stream"], call.params["group"]
    edited = dead_letters.redrive_edited(stream, group, id_, call.body.event, by=call.by)
    ((_, result),) = edited.redriven.results
    verdict = dead_letters.Verdict(problem=None, contract_version=edited.contract_version, violations=edited.warnings)
    return {"id": id_, "result": _word(result), "check": verdict.as_dict()}


def _word(result: str) -> str:
    return "redriven" if result == "retry" else result
