"""A setting of a definition is declared once: database, snapshot, admin, API and documents agree with it."""

from dataclasses import fields
from pathlib import Path

import pytest
from django.contrib import admin
from django.core.exceptions import ValidationError

from bridges.models import Bridge
from streams.models import Stream
from synapse.catalog.bridge_definitions import BRIDGE_FIELDS, BridgeDefinition
from synapse.catalog.fields import Choice, Count, Labels, Names, Rows
from synapse.catalog.stream_definitions import STREAM_FIELDS, StreamDefinition
from synapse.inspection.streams import definition_as_dict
from tests.tables import for_each

DOCUMENTS = Path(__file__).resolve().parents[2] / "docs"
# Columns that say which row it is, what it belongs to, and where its events go.
STRUCTURE = {Stream: {"id", "name"}, Bridge: {"id", "name", "stream", "group", "sink", "config", "opened_by"}}
ALL = [*((Stream, field) for field in STREAM_FIELDS), *((Bridge, field) for field in BRIDGE_FIELDS)]
NUMBERS = [(model, field) for model, field in ALL if isinstance(field, Count) and field.most is not None]
each_setting = for_each("model, field", ALL)
each_setting_of_a_stream = for_each("field", STREAM_FIELDS)


@pytest.mark.parametrize(("model", "declared"), [(Stream, STREAM_FIELDS), (Bridge, BRIDGE_FIELDS)])
def test_a_table_has_the_declared_settings_and_no_other(model, declared):
    columns = {column.name for column in model._meta.fields}

    assert columns - STRUCTURE[model] == {field.name for field in declared}


@each_setting
def test_a_column_has_the_default_and_the_choices_of_its_setting(model, field):
    column = model._meta.get_field(field.name)

    assert column.null == (field.default is None)
    default = [] if isinstance(field, Rows) else field.default
    assert column.get_default() == (list(default) if isinstance(field, Names) else default)
    assert [word for word, _ in column.choices or ()] == (list(field.words) if isinstance(field, Choice) else [])


@for_each("model, field", NUMBERS)
def test_a_number_beyond_its_limits_is_refused_by_its_column(model, field):
    column = model._meta.get_field(field.name)

    column.run_validators(field.most)
    for beyond in (field.least - 1, field.most + 1):
        with pytest.raises(ValidationError):
            column.run_validators(beyond)


@each_setting
def test_a_setting_stands_in_its_section_of_the_admins_form(model, field):
    fieldsets = dict(admin.site._registry[model].fieldsets)

    assert field.name in fieldsets[field.section or None]["fields"]


@each_setting
def test_a_page_describes_a_setting_with_its_default(model, field):
    page = (DOCUMENTS / ("catalog.md" if model is Stream else "bridges.md")).read_text(encoding="utf-8")
    # The first table is the model's own; sinks have settings of the same names.
    line = next(line for line in page.splitlines() if line.startswith(f"| `{field.name}` |"))

    if field.default not in (None, "", (), {}):
        default = field.to_file(field.default)
        default = f"[{', '.join(default)}]" if isinstance(field, Names) else str(default)
        assert line.split("|")[2].strip().strip("`").lower() == default.lower()


@each_setting
def test_a_value_comes_back_from_json_and_from_a_file_as_it_was(model, field):
    for value in [field.default, *(field.words if isinstance(field, Choice) else ())]:
        assert field.from_json(field.to_json(value)) == value
        if not isinstance(field, Rows):
            assert field.from_file(field.to_file(value)) == value


@each_setting
def test_a_definition_in_the_snapshot_has_the_default_of_each_setting(model, field):
    definitions = fields(StreamDefinition if model is Stream else BridgeDefinition)
    (attribute,) = [each for each in definitions if each.name == field.name]

    if isinstance(field, Labels):
        assert attribute.default_factory() == field.default
    elif isinstance(field, Rows):
        assert not attribute.default
    else:
        # The snapshot has the length that counts, where a stream leaves it to the server.
        assert attribute.default == (100_000 if field.name == "max_length" else field.default)


@each_setting_of_a_stream
def test_the_api_shows_each_setting_of_a_stream(field):
    assert field.name in definition_as_dict(StreamDefinition(name="orders"))
