"""Contracts and their versions in the admin: drafts are edited and activated, activated versions only change state."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from contracts import registry
from contracts.models import Contract, ContractVersion
from core.admin import AuditedAdmin, person
from core.problems import Problem


class VersionInline(admin.TabularInline):
    """The versions of a contract, to look at; each has a page of its own."""

    model = ContractVersion
    fields = readonly_fields = ("number", "state", "author", "created_at", "activated_at")
    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Contract)
class ContractAdmin(AuditedAdmin):
    list_display = ["subject", "active", "description"]
    search_fields = ["subject", "description"]
    inlines = [VersionInline]

    @admin.display(description="active version")
    def active(self, contract: Contract) -> str:
        version = registry.active_version(contract)
        return "none" if version is None else str(version.number)


class DraftForm(forms.ModelForm):
    """A draft's schema, and whether events are to be checked against it from now on."""

    activate = forms.BooleanField(
        required=False, help_text="Give it the next number and check events against it from now on. It is then frozen."
    )

    class Meta:
        model = ContractVersion
        fields = ["contract", "draft_text"]
        widgets = {"draft_text": forms.Textarea(attrs={"rows": 30, "cols": 100, "spellcheck": "false"})}

    def clean_contract(self) -> Contract:
        owner: Contract = self.cleaned_data["contract"]
        if owner.versions.filter(state=ContractVersion.State.DRAFT).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError("This contract has a draft already: edit or activate that one.")
        return owner


@admin.register(ContractVersion)
class ContractVersionAdmin(AuditedAdmin):
    form = DraftForm
    list_display = ["contract", "number", "state", "author", "activated_at"]
    list_filter = ["state"]
    search_fields = ["contract__subject"]
    autocomplete_fields = ["contract"]
    list_select_related = ["contract"]
    actions = ["activate", "deprecate"]

    def get_fields(self, request: HttpRequest, obj: ContractVersion | None = None) -> Any:
        if obj is None or obj.state == ContractVersion.State.DRAFT:
            return ["contract", "draft_text", "activate"]
        return ["contract", "number", "state", "schema", "text", "author", "created_at", "activated_at"]

    def has_change_permission(self, request: HttpRequest, obj: ContractVersion | None = None) -> bool:
        frozen = obj is not None and obj.state != ContractVersion.State.DRAFT
        return not frozen and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: ContractVersion | None = None) -> bool:
        frozen = obj is not None and obj.state != ContractVersion.State.DRAFT
        return not frozen and super().has_delete_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.author = str(person(request))
        super().save_model(request, obj, form, change)
        if form.cleaned_data.get("activate"):
            registry.activate(obj, by=person(request))

    @admin.action(description="Activate the selected drafts", permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet[ContractVersion]) -> None:
        for version in queryset:
            self._attempt(request, f"{version} was activated.", registry.activate, version)

    @admin.action(description="Deprecate the selected versions", permissions=["change"])
    def deprecate(self, request: HttpRequest, queryset: QuerySet[ContractVersion]) -> None:
        for version in queryset:
            self._attempt(request, f"{version} was deprecated.", registry.deprecate, version)

    def _attempt(self, request: HttpRequest, done: str, operation: Any, version: ContractVersion) -> None:
        try:
            operation(version, by=person(request))
        except Problem as problem:
            self.message_user(request, problem.detail, messages.ERROR)
        else:
            self.message_user(request, done)
