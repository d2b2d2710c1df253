"""Saved views of the explorer in the admin: the form that saves one, and the list of a person's own and shared ones."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html

from core import audit, catalog_version
from core.admin.base import AuditedAdmin, person
from core.templatetags.synapse import visible
from streams.admin.events.explorer_state import HIDDEN, ExplorerState
from streams.models import SavedView
from synapse.auth.permission import VIEW_PAYLOAD
from synapse.problems import Problem

# The number of views that the explorer's page offers; the list has all.
MOST_OFFERED = 30
_VIEW, _ADD = "streams.view_savedview", "streams.add_savedview"


def address_of(query: str) -> str:
    """Return the explorer's address with a query."""
    return f"{reverse('admin:streams_stream_explorer')}{f'?{query}' if query else ''}"


def visible_to(user: Any) -> QuerySet[SavedView]:
    """Return the saved views that a person finds: their own, and the shared ones if they may see payloads.

    A view holds the texts that are looked for, which may be those of an event.
    """
    found = Q(owner=user) | Q(shared=True) if user.has_perm(VIEW_PAYLOAD) else Q(owner=user)
    return SavedView.objects.filter(found).select_related("owner")


class SavedViewForm(forms.ModelForm):
    """The form of a saved view: its name, and whether it is shared.

    A person has one view of a name. A second one replaces the first only when “Replace” is ticked.
    """

    replace = forms.BooleanField(required=False, label="Replace", help_text="Replace the view of this name.")
    # Set by the admin.
    user: Any = None
    replaced: SavedView | None = None

    class Meta:
        model = SavedView
        fields = ["name", "shared", "query"]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if "replace" in self.fields and not (self.is_bound and self._of_this_name(self.data.get("name", "").strip())):
            # There is nothing to be replaced.
            self.fields["replace"].widget = forms.HiddenInput()

    def clean_query(self) -> str:
        try:
            state = ExplorerState.read(self.cleaned_data["query"]).but(next="")
            state.check()
        except ValueError as error:
            raise ValidationError(f"This is no address of the explorer: {error}.") from None
        except Problem as problem:
            raise ValidationError(problem.detail) from None
        # As the explorer itself writes it.
        return state.query

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        name = values.get("name", "")
        if own := self._of_this_name(name):
            if values.get("replace") and self.instance.pk is None:
                self.replaced = own
                # So the constraints of the model do not take the replaced row for another one.
                self.instance.pk, self.instance._state.adding = own.pk, False
            else:
                way_out = "Choose another name." if self.instance.pk else "Tick “Replace”, or choose another name."
                self.add_error("name", f"There is a view “{name}” already. {way_out}")
        keeper = self.replaced or self.instance
        others = SavedView.objects.filter(name=name, shared=True).exclude(pk=keeper.pk).select_related("owner").first()
        if values.get("shared") and others is not None and "name" not in self.errors:
            self.add_error("name", f"{others.owner} shares a view “{name}” already. Choose another name.")
        return values

    def _of_this_name(self, name: str) -> SavedView | None:
        owner = self.instance.owner if self.instance.pk else self.user
        return SavedView.objects.filter(owner=owner, name=name).exclude(pk=self.instance.pk).first()


@admin.register(SavedView)
class SavedViewAdmin(AuditedAdmin):
    form = SavedViewForm
    list_display = ["named", "search", "owner", "is_shared"]
    search_fields = ["name"]
    fields = ("name", "shared", "query", "replace")

    def get_queryset(self, request: HttpRequest) -> QuerySet[SavedView]:
        return visible_to(request.user)

    def has_change_permission(self, request: HttpRequest, obj: SavedView | None = None) -> bool:
        return _is_own(request, obj) or bool(super().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: SavedView | None = None) -> bool:
        return _is_own(request, obj) or bool(super().has_delete_permission(request, obj))

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        if request.method == "POST" and transaction.get_connection().in_atomic_block:
            # The lock keeps others from saving a view under the name between its check and its save.
            catalog_version.hold()
        form = super().get_form(request, obj, change=change, **options)
        form.user = request.user
        return form

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        # A view that exists keeps its place.
        return self.fields if obj is None else self.fields[:-1]

    def save_model(self, request: HttpRequest, obj: SavedView, form: Any, change: bool) -> None:
        if form.replaced is not None:
            change = True
        if obj.owner_id is None:
            obj.owner = request.user
        was = SavedView.objects.filter(pk=obj.pk).first()
        super().save_model(request, obj, form, change)
        if was is not None and was.query != obj.query and self.described(was) == (after := self.described(obj)):
            # The values say nothing of a change in the texts alone.
            audit.record(person(request), "change", obj, before=after, after={**(after or {}), "texts": "changed"})

    def described(self, row: Model | None) -> dict[str, Any] | None:
        """Return a view as the audit log shows it, which has more readers: without the texts that it looks for."""
        if (values := super().described(row)) is None:
            return None
        try:
            shown = ExplorerState.read(values["query"]).without_texts().query
        except ValueError:
            shown = HIDDEN
        return {**values, "query": shown}

    def response_add(self, request: HttpRequest, obj: SavedView, post_url_continue: str | None = None) -> HttpResponse:
        return self._back(request, obj)

    def response_change(self, request: HttpRequest, obj: SavedView) -> HttpResponse:
        return self._back(request, obj)

    def _back(self, request: HttpRequest, obj: SavedView) -> HttpResponse:
        self.message_user(request, f"The view “{visible(obj.name)}” is saved.", messages.SUCCESS)
        return redirect(address_of(obj.query))

    @admin.display(description="view", ordering="name")
    def named(self, view: SavedView) -> str:
        return view.name

    @admin.display(description="search")
    def search(self, view: SavedView) -> str:
        return format_html(
            '<a class="s-link s-mono s-hostile" href="{}">{}</a>',
            address_of(view.query),
            describe(view.query),
        )

    @admin.display(description="shared", boolean=True, ordering="shared")
    def is_shared(self, view: SavedView) -> bool:
        return view.shared


def _is_own(request: HttpRequest, view: SavedView | None) -> bool:
    return view is not None and view.owner_id == request.user.pk


def describe(query: str) -> str:
    """Return the search of a view in a line."""
    state = ExplorerState.read(query)
    parts = [
        ", ".join(state.streams) or "all streams",
        state.event_type,
        f"“{state.q}”" if state.q else "",
        state.filter,
        f"last {state.range}" if state.range else "",
    ]
    return visible(" · ".join(part for part in parts if part))


def offered(request: HttpRequest, query: str) -> Mapping[str, Any]:
    """Return the saved views for the explorer's page, and which of them it shows."""
    may_view = request.user.has_perm(_VIEW)
    views = list(visible_to(request.user)[: MOST_OFFERED + 1]) if may_view else []
    return {
        "may_save": request.user.has_perm(_ADD),
        "own": [view for view in views[:MOST_OFFERED] if view.owner_id == request.user.pk],
        "shared": [view for view in views[:MOST_OFFERED] if view.owner_id != request.user.pk],
        "more": len(views) > MOST_OFFERED,
        "active": next((view for view in views if view.query == query), None),
    }
