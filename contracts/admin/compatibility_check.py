"""What the compatibility check says of a text, as pages show it, and the answer while somebody writes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import render

from contracts import registry
from contracts.models import Contract
from contracts.registry import Content, settings
from core.admin.json_field import line_in, line_of
from core.templatetags.synapse import json_text
from synapse.compatibility import Difference, Direction, Mode
from synapse.errors.contracts import BadSchema

# Beyond these a person has enough to do.
MOST_SHOWN = 30

Outcome = Literal["empty", "invalid", "first", "unchecked", "compatible", "incompatible"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One difference. A line is that of the place in either text, None when it cannot be told.

    `meaning` says what the witness shows; `witness` is None when there is none.
    """

    difference: Difference
    old_line: int | None
    new_line: int | None
    meaning: str
    witness: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is said of a text. `problem` is what makes it no schema, with its place.

    `allowed` is what the policy let through; `more` is how many differences are not shown.
    """

    outcome: Outcome
    mode: Mode
    policy: str
    problem: str = ""
    pointer: str = ""
    line: int | None = None
    differences: Sequence[Shown] = ()
    allowed: Sequence[Shown] = ()
    more: int = 0

    @property
    def is_refused(self) -> bool:
        """Whether the text cannot become the next version."""
        return self.outcome in ("invalid", "incompatible")


def judge(contract: Contract | None, text: str, content: Content | None = None) -> Judgement:
    """Return whether a text may become the next version of a contract (None: of one that is not there yet).

    `content` is what it would be; without it, it is what the text would be as the draft.
    """
    mode, policy = settings.rules(contract or Contract())
    rules: dict[str, Any] = {"mode": mode, "policy": policy.value}
    if not text.strip():
        return Judgement(outcome="empty", **rules)
    try:
        content = content or registry.written(contract, text)
        has_earlier = contract is not None and registry.numbered(contract).exists()
        if contract is None or not has_earlier:
            return Judgement(outcome="first", **rules)
        verdict = registry.judge(contract, content)
    except BadSchema as error:
        pointer = error.members.get("pointer", "")
        line = line_of(text, pointer) if pointer else line_in(error.detail)
        return Judgement(outcome="invalid", problem=error.detail, pointer=pointer, line=line, **rules)
    if mode is Mode.NONE:
        return Judgement(outcome="unchecked", **rules)
    old_texts = {version.number: version.text for version in registry.numbered(contract)}
    return Judgement(
        outcome="compatible" if verdict.is_compatible else "incompatible",
        differences=[_shown(each, old_texts, text) for each in verdict.differences[:MOST_SHOWN]],
        allowed=[_shown(each, old_texts, text) for each in verdict.allowed[:MOST_SHOWN]],
        more=max(0, len(verdict.differences) - MOST_SHOWN),
        **rules,
    )


def live(admin: Any, request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """Answer a POST of a text with what is said of it: a part of a page, for the one on which it is written."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    contract = None if pk is None else admin.found(request, pk, to="change")
    if contract is None and not admin.has_add_permission(request):
        raise PermissionDenied
    text = request.POST.get("schema", "").replace("\r\n", "\n")
    context = {"judgement": judge(contract, text), "original": contract, "is_live": True}
    return render(request, "contracts/admin/verdict.html", context)


def _shown(difference: Difference, old_texts: dict[int | None, str], new_text: str) -> Shown:
    old = f"Version {difference.version}"
    backward = difference.direction is Direction.BACKWARD
    writer, reader = (old, "the new schema") if backward else ("The new schema", f"version {difference.version}")
    return Shown(
        difference=difference,
        old_line=line_of(old_texts.get(difference.version, ""), difference.old_pointer),
        new_line=line_of(new_text, difference.new_pointer),
        meaning=f"{writer} accepts this, {reader} does not:",
        witness=json_text(difference.witness) if difference.has_witness else None,
    )
