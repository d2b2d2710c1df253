"""Contracts in the admin: the list, and the page on which a contract's draft is edited."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin.options import IS_POPUP_VAR
from django.db.models import Exists, Max, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import reverse

from contracts import registry
from contracts.admin import compatibility, extensions, version_actions, versions
from contracts.models import Contract, ContractVersion
from core.admin.base import AuditedAdmin, Page, person
from core.admin.json_field import JsonEditor, JsonText, refuse
from core.templatetags.synapse import moment, visible
from synapse.errors.contracts import BadSchema
from synapse.problems import Problem
from synapse.schema import validator


def editable_text(contract: Contract) -> str:
    """Return the text to edit: that of the draft, otherwise of the active version, otherwise ""."""
    version = registry.draft_of(contract) or registry.active_version(contract)
    return "" if version is None else version.text


State = ContractVersion.State


class SchemaEditor(JsonEditor):
    """An editor below which `verdict.js` shows whether the schema may become the next version."""

    class Media:
        js = ["contracts/verdict.js"]


class ContractForm(forms.ModelForm):
    """A contract and the schema text of its draft. Saving another text creates or replaces the draft."""

    schema = JsonText(
        required=False,
        # The page sends back the text that it showed, so that a change by another person is not mistaken for one of
        # this person.
        show_hidden_initial=True,
        widget=SchemaEditor,
        label="JSON Schema",
        help_text="Saved as the contract's draft. Events are checked against it from the moment it is activated.",
    )

    class Meta:
        model = Contract
        fields = ["subject", "description"]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if self.instance.pk:
            self.initial["schema"] = editable_text(self.instance)
            ask_at = reverse("admin:contracts_contract_verdict", args=[self.instance.pk])
        else:
            ask_at = reverse("admin:contracts_contract_verdict_of_new")
        self.fields["schema"].widget.attrs["data-verdict"] = ask_at

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        text = values.get("schema", "")
        if text.strip():
            try:
                registry.check_draft(self.instance if self.instance.pk else None, text)
            except BadSchema as error:
                refuse(self, "schema", text, [(error.members.get("pointer", ""), error.detail)])
        elif self.initial.get("schema"):
            self.add_error("schema", "Write a schema. To take the draft back, discard it.")
        return values


@admin.register(Contract)
class ContractAdmin(AuditedAdmin):
    form = ContractForm
    list_display = ["subject", "standing", "activated", "description"]
    search_fields = ["subject", "description"]
    list_before_template = "contracts/admin/list.html"
    change_form_template = "contracts/admin/contract.html"
    # Other apps add their pages.
    pages: ClassVar[list[Page]] = [
        Page(path="<int:pk>/versions/<int:number>/", name="version", view=versions.show_version),
        Page(path="<int:pk>/differences/", name="differences", view=versions.show_differences),
        Page(path="<int:pk>/activate/", name="activate", view=version_actions.activate),
        Page(path="<int:pk>/discard/", name="discard", view=version_actions.discard),
        Page(path="<int:pk>/versions/<int:number>/deprecate/", name="deprecate", view=version_actions.deprecate),
        Page(path="<int:pk>/versions/<int:number>/restore/", name="restore", view=version_actions.restore),
        Page(path="<int:pk>/versions/<int:number>/delete/", name="delete_version", view=version_actions.delete),
        Page(
            path="<int:pk>/versions/<int:number>/schema/",
            name="schema",
            view=versions.get_schema,
            is_document=True,
        ),
        Page(path="<int:pk>/versions/<int:number>/python/", name="python", view=versions.get_code, is_document=True),
        Page(path="<int:pk>/verdict/", name="verdict", view=compatibility.check_posted_text),
        Page(path="verdict/", name="verdict_of_new", view=compatibility.check_posted_text),
        Page(path="<int:pk>/rules/", name="rules", view=compatibility.show_contract_settings),
        Page(path="rules/", name="rules_of_all", view=compatibility.show_general_settings),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Contract]:
        contracts: QuerySet[Contract] = super().get_queryset(request)
        draft = ContractVersion.objects.filter(contract=OuterRef("pk"), state=State.DRAFT)
        return contracts.annotate(
            active_number=Max("versions__number", filter=Q(versions__state=State.ACTIVE, versions__deleted_at=None)),
            latest_activation=Max("versions__activated_at"),
            has_draft=Exists(draft),
        )

    @admin.display(description="stands at", ordering="active_number")
    def standing(self, contract: Any) -> str:
        facts = {"number": contract.active_number, "has_draft": contract.has_draft}
        return render_to_string("contracts/admin/standing.html", facts)

    @admin.display(description="activated", ordering="latest_activation")
    def activated(self, contract: Any) -> str:
        return moment(contract.latest_activation)

    def get_readonly_fields(self, request: HttpRequest, obj: Contract | None = None) -> tuple[str, ...]:
        # The subject identifies the contract for its users.
        return () if obj is None else ("subject",)

    def get_fieldsets(self, request: HttpRequest, obj: Contract | None = None) -> Any:
        about = (None, {"fields": ["subject", "description"]})
        if obj is not None and not self.has_change_permission(request, obj):
            # Without the permission to change, the schemas are found in the list of versions.
            return [about]
        title = "Draft" if obj is not None and registry.draft_of(obj) else "Next version"
        return [about, (title, {"fields": ["schema"], "classes": ["s-wide"]})]

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        registry.remove_contract(obj, by=person(request))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Return the definitions to delete. In place of protecting objects, return sentences on why contracts cannot be
        deleted.
        """
        deleted, counts, lacking, _ = super().get_deleted_objects(objs, request)
        refusals = []
        for contract in objs:
            try:
                registry.refuse_to_remove(contract, by=person(request))
            except Problem as problem:
                refusals.append(visible(problem.detail))
        return deleted, counts, lacking, refusals

    def render_delete_form(self, request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
        page: HttpResponse = super().render_delete_form(request, context)
        if request.method == "POST":  # the deletion is refused
            page.status_code = 403
        return page

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        text = form.cleaned_data.get("schema")
        if text and "schema" in form.changed_data and text != editable_text(obj):
            registry.draft(obj.subject, text, by=person(request))

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], **options: Any) -> HttpResponse:
        contract = options.get("obj")
        if contract is not None:
            active = registry.active_version(contract)
            context |= {
                "versions": versions.rows_of(contract),
                "draft": registry.draft_of(contract),
                "active": active,
                "rules": compatibility.effective_settings(contract),
                "offers": extensions.action_links_of(request, contract),
                "uses": extensions.uses_of(contract, None if active is None else validator.parse_schema(active.text)),
            }
        shown: HttpResponse = super().render_change_form(request, context, **options)
        return shown

    def response_add(self, request: HttpRequest, obj: Contract, post_url_continue: str | None = None) -> HttpResponse:
        return self._continue_after_save(request, obj) or super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: Contract) -> HttpResponse:
        return self._continue_after_save(request, obj) or super().response_change(request, obj)

    def _continue_after_save(self, request: HttpRequest, contract: Contract) -> HttpResponse | None:
        """Report that the contract is saved, and redirect to the confirmation of the activation, or back to the
        page.
        """
        if IS_POPUP_VAR in request.POST:
            return None
        name = visible(contract)
        if registry.draft_of(contract) is None:
            self.message_user(request, f"“{name}” is saved. Its schema is as it was, so there is nothing to activate.")
        elif "_activate" in request.POST:
            return redirect(self.page_url("activate", contract.pk))
        else:
            self.message_user(request, f"The draft of “{name}” is saved. It takes effect when it is activated.")
        return redirect(self.page_url("change", contract.pk))
