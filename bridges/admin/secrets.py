"""Secrets in the admin. Their values can be set but are never shown, except once for a generated value."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldBooleanWidget  # type: ignore[import-untyped]

from bridges import secrets
from bridges.models import Secret
from core.admin.base import AuditedAdmin
from core.templatetags.synapse import moment
from synapse.delivery.webhooks import signature

MOST_CHARACTERS = 2000


class SecretForm(forms.ModelForm):
    """The form of a secret: its name, and a new value to enter, generate or keep."""

    new_value = forms.CharField(
        required=False,
        max_length=MOST_CHARACTERS,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="It is kept encrypted, and never shown again.",
    )
    generate = forms.BooleanField(
        required=False,
        widget=UnfoldBooleanWidget(),
        help_text="Make a new secret for signing webhooks. It is shown once, after saving.",
    )
    keep_previous = forms.BooleanField(
        required=False,
        initial=True,
        widget=UnfoldBooleanWidget(),
        label="Keep the previous one in use",
        help_text="Webhooks are signed with both, until you take this away and save.",
    )

    class Meta:
        model = Secret
        fields = ["name"]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if values.get("new_value") and values.get("generate"):
            self.add_error("generate", "There is a new value already.")
        if not values.get("new_value") and not values.get("generate") and not self.instance.value:
            self.add_error("new_value", "Give a value, or have one made.")
        return values

    def clean_new_value(self) -> str:
        """Refuse a value with characters that HTTP headers cannot carry."""
        value = str(self.cleaned_data["new_value"])
        if not (value.isascii() and value.isprintable()):
            raise forms.ValidationError("Printable ASCII only.")
        return value


@admin.register(Secret)
class SecretAdmin(AuditedAdmin):
    form = SecretForm
    list_display = ["name", "time_changed", "rotating"]
    search_fields = ["name"]
    secret_columns = ("value", "previous")
    fields = ("name", "new_value", "generate", "keep_previous")

    def get_readonly_fields(self, request: HttpRequest, obj: Secret | None = None) -> list[str]:
        # The name cannot change, because bridges refer to the secret by it.
        return ["name"] if obj else []

    def save_model(self, request: HttpRequest, obj: Secret, form: Any, change: bool) -> None:
        made = signature.generate_secret() if form.cleaned_data["generate"] else ""
        keep = form.cleaned_data["keep_previous"]
        if value := made or form.cleaned_data["new_value"]:
            secrets.change_value(obj, value, keep_previous=keep)
        elif not keep:
            obj.previous = ""
        super().save_model(request, obj, form, change)
        if made:
            messages.warning(request, f"The receiver needs this secret, and it is shown only now: {made}")

    @admin.display(description="changed", ordering="changed_at")
    def time_changed(self, secret: Secret) -> str:
        return moment(secret.changed_at)

    @admin.display(description="previous one in use", boolean=True)
    def rotating(self, secret: Secret) -> bool:
        return bool(secret.previous)
