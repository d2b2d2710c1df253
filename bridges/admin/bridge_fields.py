"""The parts of a bridge's form: the sink with the settings that it declares, and the filters and the retry schedule as
rows.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from types import NoneType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from unfold.widgets import (  # type: ignore[import-untyped]
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from bridges.models import Secret
from bridges.sinks import registry
from core.admin.list_fields import Column, MappingField, NamesField, RowsField, scalar_of, text_of
from streams.models import Stream
from synapse.catalog import filters
from synapse.delivery.sink import Setting, Sink, SinkConfig
from synapse.formats.text import is_name

# The number of names of streams or secrets up to which the form offers a choice; of more, people type the name.
MOST_OFFERED = 500
# The choice of a secret that is created when the bridge is saved. Names of secrets contain no space.
MADE_ON_SAVING = " new"
_WRONG = "The sink cannot be set up like this: see the fields that are marked."


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedNames:
    """The names of streams and secrets that the form offers, as far as the person may see them."""

    streams: Sequence[str] = ()
    secrets: Sequence[str] | None = None
    may_make_secrets: bool = False


def find_offered_names(user: Any) -> OfferedNames:
    """Return the names that a person's forms offer, with two queries. `secrets` is None without the permission to see
    them.
    """
    may_see_streams = user.has_perm("streams.view_stream")
    streams = list(Stream.objects.values_list("name", flat=True)[: MOST_OFFERED + 1]) if may_see_streams else []
    secrets = None
    if user.has_perm("bridges.view_secret"):
        stored = Secret.objects.values_list("name", flat=True)[: MOST_OFFERED + 1]
        secrets = sorted({*stored, *_secrets_of_environment()})
    return OfferedNames(
        streams=streams if len(streams) <= MOST_OFFERED else (),
        secrets=secrets if secrets is not None and len(secrets) <= MOST_OFFERED else None,
        may_make_secrets=user.has_perm("bridges.add_secret"),
    )


def _secrets_of_environment() -> Collection[str]:
    names = [variable.removeprefix(settings.SECRETS_PREFIX).lower() for variable in settings.BRIDGE_SECRETS]
    return [name for name in names if not name.endswith("_previous")]


class SinkCards(forms.RadioSelect):
    """A widget to choose a sink: each has a card with its name and a sentence."""

    template_name = "bridges/admin/sink_cards.html"

    def create_option(self, name: str, value: Any, *others: Any, **more: Any) -> dict[str, Any]:
        option = super().create_option(name, value, *others, **more)
        sink = registry.find_sink(str(value))
        about = sink.about or (sink.__doc__ or "").strip().partition("\n")[0]
        return option | {"about": about}


def sink_field() -> forms.ChoiceField:
    """Return the field that chooses a sink."""
    choices = [(name, registry.find_sink(name).label or name) for name in registry.sink_names()]
    return forms.ChoiceField(choices=choices, widget=SinkCards(choices=choices), label="Sink")


class SinkForm(forms.Form):
    """The settings of one sink."""

    def __init__(
        self, sink: type[Sink], offered: OfferedNames, data: Any, *, prefix: str, initial: Mapping[str, Any]
    ) -> None:
        super().__init__(data, prefix=prefix, initial=dict(initial))
        self._config_class, self._stored = sink.Config, set(initial)
        self.settings = _settings_of(sink.Config)
        for name, (hint, setting) in self.settings.items():
            self.fields[name] = _field_of(hint, setting, offered, self.initial.get(name))
            self.fields[name].label = name.replace("_", " ").capitalize()
            self.fields[name].help_text = setting.help
        for each in fields(sink.Config):
            is_required = each.default is MISSING and each.default_factory is MISSING
            self.fields[each.name].required = is_required
            self.fields[each.name].error_messages["required"] = "is missing"
            if not is_required and each.name not in self.initial:
                self.initial[each.name] = _default_of(each)

    @property
    def usual(self) -> list[forms.BoundField]:
        """The settings that most bridges need."""
        return [self[name] for name, (_, setting) in self.settings.items() if not setting.is_advanced]

    @property
    def advanced(self) -> list[forms.BoundField]:
        """The settings that few bridges need."""
        return [self[name] for name, (_, setting) in self.settings.items() if setting.is_advanced]

    @property
    def is_open(self) -> bool:
        """Whether the advanced settings are unfolded, because one of them is set or has an error."""
        return any(field.errors or field.initial for field in self.advanced)

    def config(self) -> dict[str, Any]:
        """Return the settings as a bridge stores them: without those that equal their default, unless they were stored
        before.
        """
        given = {name: _unless_empty(self.cleaned_data.get(name), self.settings[name][0]) for name in self.settings}
        defaults = {each.name: _default_of(each) for each in fields(self._config_class)}
        return {name: value for name, value in given.items() if value != defaults[name] or name in self._stored}


def _default_of(each: Any) -> Any:
    """Return the default of a setting, MISSING when it has none."""
    return each.default if each.default_factory is MISSING else each.default_factory()


def _settings_of(config: type[SinkConfig]) -> dict[str, tuple[Any, Setting]]:
    """Return the type and the declaration of each setting, by its name."""
    found: dict[str, tuple[Any, Setting]] = {}
    for each in fields(config):
        hint = get_type_hints(config, include_extras=True)[each.name]
        setting = Setting()
        if get_origin(hint) is Annotated:
            hint, *about = get_args(hint)
            setting = next((one for one in about if isinstance(one, Setting)), setting)
        found[each.name] = hint, setting
    return found


def _type_of(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return the type of a setting, apart from None, and its type arguments."""
    one = next((each for each in get_args(hint) if each is not NoneType), hint) if NoneType in get_args(hint) else hint
    return get_origin(one) or one, get_args(one)


def _field_of(hint: Any, setting: Setting, offered: OfferedNames, now: Any) -> forms.Field:
    kind, parts = _type_of(hint)
    secrets = offered.secrets or ()
    if kind is bool:
        return forms.BooleanField(widget=UnfoldBooleanWidget())
    if kind is int:
        return forms.IntegerField(widget=UnfoldAdminIntegerFieldWidget())
    if kind is float:
        return forms.FloatField(widget=UnfoldAdminIntegerFieldWidget(attrs={"step": "any"}))
    if kind is list:
        return NamesField(of=int if parts == (int,) else str)
    if kind is dict:
        options = secrets if setting.names == "secret" else ()
        return MappingField(is_json=parts[-1] is not str, options=options)
    if setting.names == "secret" and offered.secrets is not None:
        may_make = offered.may_make_secrets and not setting.is_given
        made = [(MADE_ON_SAVING, "A new one, shown once when you save")] if may_make else []
        return _choice_field(
            [*made, *_name_choices(secrets, now)], "there is no secret “%(value)s”", field=SecretChoice
        )
    if setting.names == "stream" and offered.streams:
        return _choice_field(
            [("", "Choose a stream"), *_name_choices(offered.streams, now)], "there is no stream “%(value)s”"
        )
    if setting.choices:
        return _choice_field(list(setting.choices.items()), "“%(value)s” is none of these")
    widget = SecretName if setting.names == "secret" else UnfoldAdminTextInputWidget
    return forms.CharField(widget=widget(attrs={"autocomplete": "off", "spellcheck": "false"}))


class SecretChoice(forms.ChoiceField):
    """The choice of a secret by its name. An invalid text may be a secret itself, so errors do not repeat it."""

    def validate(self, value: Any) -> None:
        if value and value != MADE_ON_SAVING and not is_name(value):
            raise ValidationError("must be the name of a secret")
        super().validate(value)


class SecretName(UnfoldAdminTextInputWidget):  # type: ignore[misc]
    """A text field for the name of a secret. An invalid text may be a secret itself, so the form does not repeat it."""

    def format_value(self, value: Any) -> Any:
        return value if is_name(str(value)) else None


def _name_choices(names: Collection[str], now: Any) -> list[tuple[str, str]]:
    """Return the choices of names, including the current one."""
    return [(name, name) for name in sorted({*names, *([now] if isinstance(now, str) and now else [])})]


def _choice_field(
    choices: Sequence[tuple[str, str]], refusal: str, *, field: type[forms.ChoiceField] = forms.ChoiceField
) -> forms.ChoiceField:
    widget = UnfoldAdminSelectWidget(choices=list(choices))
    return field(choices=choices, widget=widget, error_messages={"invalid_choice": refusal})


def _unless_empty(value: Any, hint: Any) -> Any:
    """Return the value, or None for an empty value where None is allowed."""
    return None if NoneType in get_args(hint) and value in ("", [], {}) else value


class SinkSettings(forms.Widget):
    """A widget with the settings of all sinks, which shows those of the chosen one. `forms` has a form for each sink's
    name.
    """

    template_name = "bridges/admin/sink_settings.html"
    forms: Mapping[str, SinkForm]

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        return {**super().get_context(name, value, attrs), "forms": self.forms}

    def value_from_datadict(self, data: Any, files: Any, name: str) -> dict[str, Any] | None:
        form = self.forms.get(data.get("sink", ""))
        return form.config() if form is not None and form.is_valid() else None

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return False

    def id_for_label(self, id_: str) -> str:
        return ""

    class Media:
        js = ["core/forms.js"]


class SinkSettingsField(forms.Field):
    """The settings of the chosen sink, as a bridge stores them."""

    widget = SinkSettings

    def clean(self, value: Any) -> Any:
        if value is None:
            raise ValidationError(_WRONG)
        return value

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(data != (initial or {}))


_OPERATORS = {
    "eq": "is",
    "ne": "is not",
    "in": "is one of",
    "lt": "is less than",
    "le": "is at most",
    "gt": "is more than",
    "ge": "is at least",
    "exists": "is there",
    "prefix": "begins with",
}


class FiltersField(RowsField):
    """The filters of a bridge (`synapse.catalog.filters`), each a row with a property, an operator and a value."""

    columns = (
        Column(name="property", label="Property", placeholder="customer.country"),
        Column(name="op", label="Condition", choices={word: _OPERATORS.get(word, word) for word in filters.OPERATORS}),
        Column(name="value", label="Value", placeholder="DE, or 100"),
    )

    def value_of(self, rows: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
        return [_filter_of(row) for row in rows]

    def rows_of(self, value: Any) -> list[dict[str, str]]:
        return [_row_of(each) for each in value]


def _filter_of(row: Mapping[str, str]) -> dict[str, Any]:
    text = row["value"].strip()
    found: dict[str, Any] = {"property": row["property"].strip(), "op": row["op"]}
    if not text:
        # “is there” needs no value. For other conditions, checking the filters reports that the value is missing.
        return found
    if row["op"] == "in" and not text.startswith("["):
        return found | {"value": [scalar_of(one.strip()) for one in text.split(",") if one.strip()]}
    # The value of “begins with” stays a string, even if it looks like a number.
    return found | {"value": text if row["op"] == "prefix" else scalar_of(text)}


def _row_of(filter_: Any) -> dict[str, str]:
    value = filter_.get("value", "")
    is_list = isinstance(value, list) and not any(isinstance(one, list | dict) or "," in str(one) for one in value)
    if is_list:
        text = ", ".join(text_of(one) for one in value)
    else:
        text = value if filter_["op"] == "prefix" else text_of(value) if "value" in filter_ else ""
    return {"property": filter_["property"], "op": filter_["op"], "value": text}


class ScheduleField(RowsField):
    """The waits between attempts (`synapse.delivery.retry`), one per row."""

    columns = (Column(name="wait", label="Wait", placeholder="30s, 5m, 2h or 1d"),)

    def value_of(self, rows: Sequence[Mapping[str, str]]) -> list[Any]:
        return [scalar_of(row["wait"].strip()) for row in rows]

    def rows_of(self, value: Any) -> list[dict[str, str]]:
        return [{"wait": str(wait)} for wait in value]
