"""Compatibility, policy and mode in the admin: of one contract, and of all that do not say otherwise."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from contracts.models import Compatibility, Contract, Mode, Policy, RegistrySettings
from contracts.registry import settings
from core import audit, catalog_version
from core.admin.base import person
from core.admin.revisions import RevisedForm
from synapse.problems import Problem

_FIELDS = ("compatibility", "policy", "mode")


class RulesForm(RevisedForm, forms.Form):
    """What holds for new versions, and whether there may be any."""

    compatibility = forms.ChoiceField(
        label="Compatibility", help_text="What a new version must be able to read, or must be readable by."
    )
    policy = forms.ChoiceField(
        label="Policy",
        help_text="Lenient lets pass what people do every day, such as a new optional property, and tells of it.",
    )
    mode = forms.ChoiceField(label="Changes", help_text="What is read only gets no new version, and loses none.")

    def __init__(self, data: Any = None, *, contract: Contract | None, reader: str) -> None:
        row = contract or settings.of_all()
        self._target, self.reader = audit.name_of(row), reader
        super().__init__(data, initial={name: getattr(row, name) for name in _FIELDS})
        for name, choices in zip(_FIELDS, (Compatibility, Policy, Mode), strict=True):
            self.fields[name].choices = _choices(contract, name, choices.choices)  # type: ignore[attr-defined]
            self.fields[name].required = contract is None

    def target(self) -> str:
        return self._target


def of_contract(admin: Any, request: HttpRequest, pk: int) -> HttpResponse:
    """Show and change what holds for one contract."""
    contract = admin.found(request, pk, to="change")
    title = "Compatibility and changes"
    return _answer(admin, request, contract, title=title, may_change=True, back=admin.page_url("change", pk))


def of_all(admin: Any, request: HttpRequest) -> HttpResponse:
    """Show and change what holds for every contract that does not say otherwise."""
    if not admin.has_view_permission(request):
        raise PermissionDenied
    may_change = request.user.has_perm("contracts.change_registrysettings")
    title, back = "Rules for all contracts", admin.page_url("changelist")
    return _answer(admin, request, None, title=title, may_change=may_change, back=back)


def standing(contract: Contract) -> dict[str, Any]:
    """Return what holds for a contract, in words, and which of it the contract says itself."""
    everywhere = settings.of_all()
    mode, policy = settings.rules(contract)
    return {
        "compatibility": Compatibility(mode.value),
        "policy": Policy(policy.value),
        "mode": Mode(settings.mode_of(contract, everywhere)),
        "own": [name for name in _FIELDS if getattr(contract, name)],
    }


def _answer(
    admin: Any, request: HttpRequest, contract: Contract | None, *, title: str, may_change: bool, back: str
) -> HttpResponse:
    reader = str(person(request))
    if request.method == "POST":
        if not may_change:
            raise PermissionDenied
        with transaction.atomic():
            # Nobody else changes them between looking and writing.
            catalog_version.hold()
            form = RulesForm(request.POST, contract=_again(contract), reader=reader)
            if form.is_valid() and _changed(admin, request, contract, form.cleaned_data):
                return redirect(back if contract else request.path)
    else:
        form = RulesForm(contract=contract, reader=reader)
    page: HttpResponse = admin.show(
        request,
        "contracts/admin/rules.html",
        title=title,
        row=contract,
        form=form,
        back=back,
        may_change=may_change,
        exceptions=[] if contract else _exceptions(),
        is_overridden=bool(contract) and settings.of_all().mode == Mode.READONLY_OVERRIDE,
    )
    return page


def _again(contract: Contract | None) -> Contract | None:
    return None if contract is None else Contract.objects.get(pk=contract.pk)


def _changed(admin: Any, request: HttpRequest, contract: Contract | None, wanted: dict[str, str]) -> bool:
    """Change what differs, and say so. The mode goes first when it allows the rest, and last when it forbids it."""
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


def _choices(contract: Contract | None, name: str, choices: list[Any]) -> list[tuple[str, str]]:
    shown = [(value, str(label)[:1].upper() + str(label)[1:]) for value, label in choices]
    if contract is None:
        return shown
    inherited = dict(shown)[getattr(settings.of_all(), name)]
    # The last mode is for the whole registry.
    own = [choice for choice in shown if choice[0] != Mode.READONLY_OVERRIDE]
    return [("", f"As for all contracts ({inherited})"), *own]


def _exceptions() -> list[tuple[Contract, list[str]]]:
    """Return the contracts that say otherwise, with what they say."""
    found = Contract.objects.exclude(compatibility="", policy="", mode="")
    said = ((contract, [str(getattr(contract, f"get_{name}_display")()) for name in _FIELDS]) for contract in found)
    return [(contract, [text for text in texts if text]) for contract, texts in said]
