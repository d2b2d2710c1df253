"""Compatibility on the pages of contracts: the check of a schema text, and forms for mode and policy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect, render

from contracts import registry
from contracts.models import Compatibility, Contract, Mode, Policy, RegistrySettings
from contracts.registry import Content, settings
from core import audit, catalog_version
from core.admin.base import AuditedAdmin, person
from core.admin.json_field import line_in, line_of
from core.admin.revisions import RevisedForm
from core.templatetags.synapse import json_text
from synapse.compatibility import Difference, Direction
from synapse.compatibility import Mode as CompatibilityMode
from synapse.errors.contracts import BadSchema
from synapse.problems import Problem

_FIELDS = ("compatibility", "policy", "mode")


class RulesForm(RevisedForm, forms.Form):
    """The form of the compatibility mode and policy, and of the registry's mode."""

    compatibility = forms.ChoiceField(
        label="Compatibility", help_text="The versions that a new one must be able to read, or must be readable by."
    )
    policy = forms.ChoiceField(
        label="Policy",
        help_text="Lenient permits everyday changes, such as a new optional property, and reports them.",
    )
    mode = forms.ChoiceField(label="Changes", help_text="A read-only contract gets no new version and loses none.")

    def __init__(self, data: Any = None, *, contract: Contract | None, reader: str) -> None:
        row = contract or settings.of_all()
        self._target, self.reader = audit.name_of(row), reader
        super().__init__(data, initial={name: getattr(row, name) for name in _FIELDS})
        for name, choices in zip(_FIELDS, (Compatibility, Policy, Mode), strict=True):
            self.fields[name].choices = _choices_of(contract, name, choices.choices)  # type: ignore[attr-defined]
            self.fields[name].required = contract is None

    def target(self) -> str:
        return self._target


def show_contract_settings(admin: AuditedAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Show and change the settings of one contract."""
    contract = admin.get_row_or_404(request, pk, to="change")
    title = "Compatibility and changes"
    return _answer_settings(admin, request, contract, title=title, may_change=True, back=admin.page_url("change", pk))


def show_general_settings(admin: AuditedAdmin, request: HttpRequest) -> HttpResponse:
    """Show and change the settings of every contract without its own."""
    if not admin.has_view_permission(request):
        raise PermissionDenied
    may_change = request.user.has_perm("contracts.change_registrysettings")
    title, back = "Rules for all contracts", admin.page_url("changelist")
    return _answer_settings(admin, request, None, title=title, may_change=may_change, back=back)


def effective_settings(contract: Contract) -> dict[str, Any]:
    """Return the labels of the settings that apply to a contract. `own` names those that the contract sets itself."""
    everywhere = settings.of_all()
    mode, policy = settings.rules_of(contract)
    return {
        "compatibility": Compatibility(mode.value),
        "policy": Policy(policy.value),
        "mode": Mode(settings.mode_of(contract, everywhere)),
        "own": [name for name in _FIELDS if getattr(contract, name)],
    }


def _answer_settings(
    admin: AuditedAdmin, request: HttpRequest, contract: Contract | None, *, title: str, may_change: bool, back: str
) -> HttpResponse:
    reader = str(person(request))
    if request.method == "POST":
        if not may_change:
            raise PermissionDenied
        with transaction.atomic():
            # The lock keeps other requests from changing the settings between the check and the write.
            catalog_version.hold()
            now = None if contract is None else Contract.objects.get(pk=contract.pk)
            form = RulesForm(request.POST, contract=now, reader=reader)
            if form.is_valid() and _save_changes(admin, request, contract, form.cleaned_data):
                return redirect(back if contract else request.path)
    else:
        form = RulesForm(contract=contract, reader=reader)
    return admin.show(
        request,
        "contracts/admin/rules.html",
        title=title,
        row=contract,
        form=form,
        back=back,
        may_change=may_change,
        exceptions=[] if contract else _list_exceptions(),
        is_overridden=bool(contract) and settings.of_all().mode == Mode.READONLY_OVERRIDE,
    )


def _save_changes(admin: AuditedAdmin, request: HttpRequest, contract: Contract | None, wanted: dict[str, str]) -> bool:
    """Save the changed settings and report the result. Return False if they were refused. A read-only mode forbids
    other changes, so it is set last, and READWRITE first.
    """
    row: Contract | RegistrySettings = contract or settings.of_all()
    rules: dict[str, Any] = {
        name: wanted[name] for name in _FIELDS if name != "mode" and wanted[name] != getattr(row, name)
    }
    mode: dict[str, Any] = {"mode": wanted["mode"]} if wanted["mode"] != row.mode else {}
    steps = [rules, mode] if wanted["mode"] in (Mode.READONLY, Mode.READONLY_OVERRIDE) else [mode, rules]
    try:
        with transaction.atomic():
            for values in filter(None, steps):
                changed = settings.change(contract, by=person(request), **values)
                contract = changed if isinstance(changed, Contract) else None
    except Problem as problem:
        admin.message_user(request, problem.detail, messages.ERROR)
        return False
    admin.message_user(request, "Saved." if rules or mode else "Nothing was changed.", messages.SUCCESS)
    return True


def _choices_of(contract: Contract | None, name: str, choices: list[Any]) -> list[tuple[str, str]]:
    shown = [(value, str(label)[:1].upper() + str(label)[1:]) for value, label in choices]
    if contract is None:
        return shown
    inherited = dict(shown)[getattr(settings.of_all(), name)]
    # READONLY_OVERRIDE exists only for the whole registry.
    own = [choice for choice in shown if choice[0] != Mode.READONLY_OVERRIDE]
    return [("", f"As for all contracts ({inherited})"), *own]


def _list_exceptions() -> list[tuple[Contract, list[str]]]:
    """Return the contracts with settings of their own, each with the labels of these settings."""
    found = Contract.objects.exclude(compatibility="", policy="", mode="")
    said = ((contract, [str(getattr(contract, f"get_{name}_display")()) for name in _FIELDS]) for contract in found)
    return [(contract, [text for text in texts if text]) for contract, texts in said]


# The page shows at most this many differences of each kind.
MOST_SHOWN = 30

Outcome = Literal["empty", "invalid", "first", "unchecked", "compatible", "incompatible"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownDifference:
    """One difference between two schemas. `old_line` and `new_line` are its lines in the texts, None if unknown.

    `meaning` explains the witness; `witness` is an event as JSON that shows the difference, None if there is none.
    """

    difference: Difference
    old_line: int | None
    new_line: int | None
    meaning: str
    witness: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionCheck:
    """The result of checking a text as the next version. `problem`, `pointer` and `line` say why the text is no schema.

    `allowed` lists differences that the policy permits; `more` is the number of differences left out of the page.
    """

    outcome: Outcome
    mode: CompatibilityMode
    policy: str
    problem: str = ""
    pointer: str = ""
    line: int | None = None
    differences: Sequence[ShownDifference] = ()
    allowed: Sequence[ShownDifference] = ()
    more: int = 0

    @property
    def is_refused(self) -> bool:
        """Say whether the text cannot become the next version."""
        return self.outcome in ("invalid", "incompatible")


def check_text(contract: Contract | None, text: str, content: Content | None = None) -> VersionCheck:
    """Check whether a text may become the next version of a contract (None: of a new contract).

    `content` is the content of that version; by default, it is the text with the references of the draft.
    """
    mode, policy = settings.rules_of(contract or Contract())
    rules: dict[str, Any] = {"mode": mode, "policy": policy.value}
    if not text.strip():
        return VersionCheck(outcome="empty", **rules)
    try:
        content = content or registry.check_draft(contract, text)
        has_earlier = contract is not None and registry.numbered_versions(contract).exists()
        if contract is None or not has_earlier:
            return VersionCheck(outcome="first", **rules)
        verdict = registry.check_compatibility(contract, content)
    except BadSchema as error:
        pointer = error.members.get("pointer", "")
        line = line_of(text, pointer) if pointer else line_in(error.detail)
        return VersionCheck(outcome="invalid", problem=error.detail, pointer=pointer, line=line, **rules)
    if mode is CompatibilityMode.NONE:
        return VersionCheck(outcome="unchecked", **rules)
    old_texts = {version.number: version.text for version in registry.numbered_versions(contract)}
    return VersionCheck(
        outcome="compatible" if verdict.is_compatible else "incompatible",
        differences=[_show_difference(each, old_texts, text) for each in verdict.differences[:MOST_SHOWN]],
        allowed=[_show_difference(each, old_texts, text) for each in verdict.allowed[:MOST_SHOWN]],
        more=max(0, len(verdict.differences) - MOST_SHOWN),
        **rules,
    )


def check_posted_text(admin: AuditedAdmin, request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """Check a posted text and answer with a fragment for the page on which it is edited."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    contract = None if pk is None else admin.get_row_or_404(request, pk, to="change")
    if contract is None and not admin.has_add_permission(request):
        raise PermissionDenied
    text = request.POST.get("schema", "").replace("\r\n", "\n")
    context = {"judgement": check_text(contract, text), "original": contract, "is_live": True}
    return render(request, "contracts/admin/verdict.html", context)


def _show_difference(difference: Difference, old_texts: dict[int | None, str], new_text: str) -> ShownDifference:
    old = f"Version {difference.version}"
    backward = difference.direction is Direction.BACKWARD
    writer, reader = (old, "the new schema") if backward else ("The new schema", f"version {difference.version}")
    return ShownDifference(
        difference=difference,
        old_line=line_of(old_texts.get(difference.version, ""), difference.old_pointer),
        new_line=line_of(new_text, difference.new_pointer),
        meaning=f"{writer} accepts this, {reader} does not:",
        witness=json_text(difference.witness) if difference.has_witness else None,
    )
