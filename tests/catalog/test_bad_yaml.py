"""YAML in a catalog file means exactly one value, or is refused."""

import pytest

from synapse.catalog import yaml as catalog_yaml
from tests.catalog.files import mistakes
from tests.patience import that_ends

LAUGHS = "".join(
    [
        'a0: &a0 ["ha", "ha"]\n',
        *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)),
    ]
)


def read(text: str) -> object:
    source = catalog_yaml.parse_yaml(text.encode())
    assert source.errors == []
    return source.value


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "file.yaml cannot be read: it is empty"),
        (b"# only a comment\n", "file.yaml cannot be read: it is empty"),
        (
            b"- a\n- b\n",
            "file.yaml is no catalog: it must be a mapping with the sections contracts, streams, services, alerts, "
            "bridges",
        ),
        (
            b"streams",
            "file.yaml is no catalog: it must be a mapping with the sections contracts, streams, services, alerts, "
            "bridges",
        ),
        (b"streams: []\nx: \xff\n", "file.yaml cannot be read: line 2: byte 0xff is not UTF-8"),
        ("streams: []".encode("utf-16"), "file.yaml cannot be read: line 1: byte 0xff is not UTF-8"),
        (
            b"streams: [\n",
            "file.yaml cannot be read: line 2: not valid YAML: did not find expected node content, "
            "while parsing a flow node",
        ),
        (
            b"a: b: c",
            "file.yaml cannot be read: line 1: not valid YAML: mapping values are not allowed in this context",
        ),
        (b"a: *b", "file.yaml cannot be read: line 1: not valid YAML: found undefined alias"),
        (b"a: \n  b\x07", "file.yaml cannot be read: line 2: the character U+0007 is not allowed in YAML"),
        (
            b"a: 1\n---\nb: 2\n",
            "file.yaml cannot be read: line 2: not valid YAML: but found another document, "
            "expected a single document in the stream",
        ),
        (b"x" * (catalog_yaml.MAX_BYTES + 1), "file.yaml cannot be read: it is larger than 67108864 bytes"),
        (b"[" * 100_000, "file.yaml cannot be read: line 1: nested more than 100 levels deep"),
        (b"- " * 100_000, "file.yaml cannot be read: line 1: nested more than 100 levels deep"),
        (b"a: &a [1, *a]", "file.yaml cannot be read: line 1: the alias *a is inside the value that it refers to"),
        (LAUGHS.encode(), "file.yaml cannot be read: line 9: its aliases add more than 200000 values"),
        (
            "".join(["a0: &a0 [x]\n", *(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 200))]).encode(),
            "file.yaml cannot be read: line 99: nested more than 100 levels deep, with aliases resolved",
        ),
    ],
    ids=lambda value: repr(value[:20]) if isinstance(value, bytes) else "",
)
def test_a_file_that_cannot_be_read_is_refused_with_the_reason(data, said):
    with that_ends():
        assert mistakes(data) == [said]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("streams: []\nstreams: []", "line 2: streams: the key appears twice in one mapping"),
        ("streams: [{name: s, name: t}]", "line 1: streams[0].name: the key appears twice in one mapping"),
        (
            "contracts: [{subject: s, schema: {properties: {404: {}}}}]",
            "line 1: contracts[0].schema.properties: a key is text; put “404” in quotes",
        ),
        (
            "streams: [{name: s, purpose: !!python/name:os.system x}]",
            "line 1: streams[0].purpose: tags are not allowed: write the value "
            "without tag:yaml.org,2002:python/name:os.system",
        ),
        ("streams: !stream []", "line 1: streams: tags are not allowed: write the value without !stream"),
        (
            "streams: [{name: s, purpose: 012}]",
            "line 1: streams[0].purpose: “012” is a number to some YAML parsers only; "
            "write it as JSON does, or put it in quotes",
        ),
        (
            'streams: [{name: s, purpose: "a\\0b"}]',
            "line 1: streams[0].purpose: the text holds a NUL character or half of a surrogate pair",
        ),
        ("streams: [{<<: 5, name: s}]", "line 1: streams[0]: “<<” takes a mapping, or a list of mappings"),
    ],
)
def test_ambiguous_yaml_is_refused_with_its_line(text, said):
    assert mistakes(text) == [said]


@pytest.mark.parametrize("number", ["012", "0x1F", "0o14", "0b11", "1_000", "+5", ".5", "5.", ".inf", "-.inf", ".nan"])
def test_a_number_that_is_not_written_as_in_json_is_refused(number):
    source = catalog_yaml.parse_yaml(f"a: {number}".encode())

    assert [mistake.message for mistake in source.errors] == [
        f"“{number}” is a number to some YAML parsers only; write it as JSON does, or put it in quotes"
    ]


@pytest.mark.parametrize("number", ["18446744073709551616", "-9223372036854775809", "1" * 100_000, "1e999"])
def test_a_number_that_is_too_large_is_refused(number):
    source = catalog_yaml.parse_yaml(f"a: {number}".encode())

    assert len(source.errors) == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # Words are text, and so are dates: what is a date is said by a schema.
        ("off", "off"),
        ("yes", "yes"),
        ("2024-01-15", "2024-01-15"),
        ("2024-01-15T10:30:00Z", "2024-01-15T10:30:00Z"),
        ("10:30", "10:30"),
        ("2.0.0", "2.0.0"),
        ("!!str 5", "5"),
        ("'5'", "5"),
        ("true", True),
        ("null", None),
        ("~", None),
        ("", None),
        ("-5", -5),
        ("1.50", 1.5),
        ("1e3", 1000.0),
        ("18446744073709551615", 2**64 - 1),
    ],
)
def test_a_scalar_is_what_json_would_make_of_it(text, value):
    found = read(f"a: {text}")["a"]

    assert (found, type(found)) == (value, type(value))


def test_aliases_and_merge_keys_are_resolved():
    text = """
        base: &base {type: string, minLength: 1}
        one: *base
        two: {<<: *base, minLength: 2}
        three: {<<: [{a: 1, b: 1}, {a: 2, c: 2}], c: 3}
    """

    assert read(text) == {
        "base": {"type": "string", "minLength": 1},
        "one": {"type": "string", "minLength": 1},
        "two": {"type": "string", "minLength": 2},
        "three": {"a": 1, "b": 1, "c": 3},
    }


def test_a_byte_order_mark_is_passed_over():
    assert read("\ufeffa: 1") == {"a": 1}


def test_the_slower_parser_reads_the_same(monkeypatch):
    import yaml

    # Where PyYAML comes without libyaml, its own parser does the work.
    monkeypatch.setattr(catalog_yaml, "Loader", yaml.SafeLoader)
    slow = type("_NodeLoader", (yaml.SafeLoader,), {"resolve": catalog_yaml._NodeLoader.resolve})
    fast = read("a: [1, x, '1', {b: null}]")
    monkeypatch.setattr(catalog_yaml, "_NodeLoader", slow)

    assert read("a: [1, x, '1', {b: null}]") == fast
    (mistake,) = catalog_yaml.parse_yaml(b'a: "\\ud800"').errors
    assert mistake.message == "the text holds a NUL character or half of a surrogate pair"
