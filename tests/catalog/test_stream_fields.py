"""A setting of a stream is declared once: database, snapshot, admin, API and documents agree with the declaration."""

from dataclasses import fields
from pathlib import Path

import pytest
from django.contrib import admin

from streams.models import Stream
from synapse.catalog.fields import Choice, Count
from synapse.catalog.stream_definitions import StreamDefinition
from synapse.catalog.stream_fields import STREAM_FIELDS
from synapse.inspection.streams import definition

DOCUMENTS = Path(__file__).resolve().parents[2] / "docs"
# Keys and links of a row, which are no settings.
STRUCTURE = {"id", "name"}
each_field = pytest.mark.parametrize("field", STREAM_FIELDS, ids=lambda field: field.name)


def test_the_table_of_streams_has_the_declared_settings_and_no_other():
    columns = {column.name for column in Stream._meta.fields}

    assert columns - STRUCTURE == {field.name for field in STREAM_FIELDS}


@each_field
def test_a_column_has_the_default_and_the_choices_of_its_setting(field):
    column = Stream._meta.get_field(field.name)

    assert column.null == (field.default is None)
    assert column.get_default() == field.default
    assert [word for word, _ in column.choices or ()] == (list(field.words) if isinstance(field, Choice) else [])


@each_field
def test_a_definition_in_the_snapshot_has_the_default_of_each_setting(field):
    (attribute,) = [each for each in fields(StreamDefinition) if each.name == field.name]

    # The snapshot has the length that counts, where a stream leaves it to the server.
    assert attribute.default == (100_000 if field.name == "max_length" else field.default)


@each_field
def test_a_setting_is_in_the_api_and_in_the_form_of_the_admin(field):
    fieldsets = admin.site._registry[Stream].fieldsets

    assert field.name in definition(StreamDefinition(name="orders"))
    assert field.name in dict(fieldsets)[field.section or None]["fields"]


@each_field
def test_the_catalogs_page_describes_a_setting_with_its_default(field):
    page = (DOCUMENTS / "catalog.md").read_text(encoding="utf-8")
    (line,) = [line for line in page.splitlines() if line.startswith(f"| `{field.name}` |")]

    if field.default not in (None, ""):
        assert f"| {field.to_file(field.default)} |" in line.replace("`", "")


def test_values_come_back_from_json_and_from_a_file_as_they_were():
    for field in STREAM_FIELDS:
        for value in {field.default, *(field.words if isinstance(field, Choice) else ())}:
            assert field.from_json(field.to_json(value)) == value
            assert field.from_file(field.to_file(value)) == value


def test_a_number_beyond_its_limits_is_refused_in_forms(db):
    for field in STREAM_FIELDS:
        if isinstance(field, Count) and field.most is not None:
            column = Stream._meta.get_field(field.name)
            with pytest.raises(Exception, match=str(field.most)):
                column.run_validators(field.most + 1)
