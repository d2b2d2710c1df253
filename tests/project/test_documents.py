"""Documents are correct: links resolve, names exist, examples match the code."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import orjson
import pytest
from django.core.management import call_command, get_commands

from synapse.cloudevents.incoming import read_structured
from synapse.wire import encoding
from synapse_project import environment
from tests.tables import for_each

ROOT = Path(__file__).parents[2]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *DOCS]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")

every_document = for_each("document", DOCUMENTS)


class Link(NamedTuple):
    file: Path
    anchor: str
    text: str


def prose(document: Path) -> str:
    """Return a document without its code blocks."""
    return FENCE.sub("", document.read_text(encoding="utf-8"))


def links(document: Path) -> Iterator[Link]:
    """Give a document's links to files of the project."""
    for target in LINK.findall(prose(document)):
        if "://" not in target and not target.startswith("mailto:"):
            file, _, anchor = target.partition("#")
            yield Link((document.parent / file).resolve() if file else document, anchor, target)


def anchors(document: Path) -> set[str]:
    """Return what can be linked to in a document: its headings, as the usual viewers write them in a URL."""
    headings = re.findall(r"^#{1,6} (.+)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_document
def test_every_link_leads_to_a_file_and_a_heading_of_it(document):
    lost = [link.text for link in links(document) if not link.file.exists()]
    lost += [link.text for link in links(document) if link.anchor and link.anchor not in anchors(link.file)]

    assert lost == []


def test_every_document_is_linked_from_the_index_or_from_the_index_of_its_folder():
    index = ROOT / "docs/index.md"
    linked = {link.file for link in links(index)}
    linked |= {link.file for folder in linked if folder.name == "README.md" for link in links(folder)}

    assert set(DOCS) - linked <= {index}


@every_document
def test_no_document_names_a_path_of_somebodys_machine(document):
    found = re.findall(r"(?:/work|/root|/tmp|/home|/Users)/[\w./-]*", document.read_text(encoding="utf-8"))

    assert found == []


@every_document
def test_every_command_that_a_document_names_is_there(document):
    text = document.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"(?:`|^|\$ )make ([a-z]+)", text, re.MULTILINE)) <= targets
    assert set(re.findall(r"manage\.py ([a-z_]+)", text)) <= set(get_commands())


def layers() -> list[str]:
    """Return every path in the picture of the layers."""
    picture = FENCE.search((ROOT / "docs/architecture.md").read_text(encoding="utf-8").split("## Layers")[1])
    assert picture is not None
    paths: list[str] = []
    folder = ""
    for line in picture[2].splitlines():
        names = re.split(r"\s{2,}", line.strip())[0].split()
        if not line.startswith(" "):
            (folder,) = names
        paths += [folder + name for name in names] if line.startswith(" ") else [folder]
    return paths


@for_each("path", layers())
def test_every_path_in_the_picture_of_the_layers_exists(path):
    assert (ROOT / path).exists()
    assert (ROOT / path).is_dir() == path.endswith("/")


@pytest.mark.parametrize("page", ["architecture.md", "request-life.md"])
def test_every_module_that_a_page_of_the_design_names_is_there(page):
    named = re.findall(
        r"`((?:synapse|synapse_project|streams|bridges|tests)/[\w/.]+)`", (ROOT / "docs" / page).read_text()
    )

    assert [path for path in named if not (ROOT / path).exists()] == []
    assert named


def test_no_folder_is_missing_from_the_picture_of_the_layers():
    folders = {path.parent.name for path in ROOT.glob("*/apps.py")} | {
        "synapse",
        "synapse_project",
        "catalog",
        "docs",
        "tests",
    }

    assert {f"{folder}/" for folder in folders} <= set(layers())


def test_the_example_of_an_env_file_names_every_setting_and_no_other():
    names = re.findall(r"^#?(\w+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)

    assert names == [setting.name for setting in environment.SETTINGS]


@for_each("setting", environment.SETTINGS)
def test_the_example_of_an_env_file_says_what_a_setting_means_and_shows_a_value_that_can_be_used(setting):
    text = (ROOT / ".env.example").read_text(encoding="utf-8")

    paragraph = next(part for part in text.split("\n\n") if f"\n#{setting.name}=" in part)
    value = paragraph.partition(f"\n#{setting.name}=")[2].strip()

    said = " ".join(line.removeprefix("# ") for line in paragraph.splitlines())
    assert setting.meaning.replace("`", "") in said
    assert value == "" or setting.parse(value) is not None


def glossary() -> dict[str, str]:
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", (ROOT / "docs/glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
    return dict(rows[2:])


def test_the_glossary_is_in_order():
    assert list(glossary()) == sorted(glossary(), key=str.lower)


def test_every_word_of_the_glossary_is_used():
    sources = [path for path in DOCUMENTS if path.name != "glossary.md"]
    for app in ("synapse", "core", "contracts", "streams", "bridges"):
        sources += (ROOT / app).rglob("*.py")
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)

    unused = [
        word for word in glossary() if not re.search(rf"\b{re.escape(word)}(?:s|es|d|ed)?\b", text, re.IGNORECASE)
    ]

    assert unused == []


CURL = re.compile(r"^curl '?http://localhost:8002(?P<path>/[^\s']*)'?(?: -H '[^']*')?(?: -d '(?P<body>[^']*)')?")


def test_the_readmes_tour_answers_as_it_shows(ask):
    call_command("catalog", "apply", str(ROOT / "catalog/deepiri.yaml"), verbosity=0)
    code = [content for kind, content in FENCE.findall((ROOT / "README.md").read_text()) if kind in ("sh", "json")]

    def without_ids(value: object) -> object:
        return re.sub(r'"\d{13}-\d+"', '"id"', orjson.dumps(value).decode())

    asked = 0
    for content, following in zip(code, [*code[1:], ""], strict=True):
        if found := CURL.match(content):
            answer = ask("POST" if found["body"] else "GET", found["path"], found["body"] or "")
            asked += 1
            if following.startswith("{"):
                assert without_ids(answer.json) == without_ids(orjson.loads(following))
            else:
                assert answer.status == 201
    assert asked >= 5


# The examples of the wire format: an event as JSON, and the entry as redis-cli prints it.
WIRE_FORMAT = ROOT / "docs/wire-format.md"
CONTRACT_OF_THE_EXAMPLES = {
    "order-placed": {
        "order_id": frozenset({"integer"}),
        "paid": frozenset({"boolean"}),
        "weight": frozenset({"number", "null"}),
    }
}


def section(heading: str) -> str:
    text = WIRE_FORMAT.read_text(encoding="utf-8")
    return text.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def blocks(text: str, kind: str) -> list[str]:
    return [content for found, content in FENCE.findall(text) if found == kind]


def printed_fields(reply: str) -> list[bytes]:
    """Return the fields of an entry from redis-cli's picture of it, in which only the first text is the id."""
    texts = re.findall(r'^[\d) ]+"(.*)"$', reply, re.MULTILINE)
    return [text.replace('\\"', '"').encode() for text in texts[1:]]


@pytest.mark.parametrize("layout", ["flat", "dual"])
def test_the_wire_formats_examples_are_what_is_written(layout):
    text = section(f"Layout {layout}")
    event = encoding.canonical(orjson.loads(blocks(text, "json")[0]))
    printed = printed_fields(blocks(text, "text")[0])
    shown = {name.decode(): value.decode() for name, value in encoding.pairs(printed).items()}

    written = encoding.encode(
        event,
        layout=layout,
        timestamp=shown["timestamp"],
        source="anonymous",
        contract_version=0,
        beside={name: text for name, text in shown.items() if name == "traceparent"},
    )

    assert [text.encode() for text in written] == printed
    assert encoding.decode(encoding.pairs(printed)).event == event
    assert datetime.fromisoformat(shown["timestamp"])


def test_the_wire_formats_cloudevent_is_stored_as_it_says():
    text = section("Fields of Synapse's own")
    found = read_structured(orjson.loads(blocks(text, "json")[0]), {})
    printed = printed_fields(blocks(text, "text")[0])

    written = encoding.encode(
        found.event,
        layout="flat",
        timestamp=found.time,
        source="",
        contract_version=0,
        beside=found.fields(),
    )

    assert [text.encode() for text in written] == printed
    assert encoding.decode(encoding.pairs(printed)).cloudevent == found.attributes


def test_the_wire_formats_foreign_examples_are_read_as_it_says():
    text = section("Writing an entry yourself")
    commands = re.findall(r"XADD orders '\*' (.+)$", text, re.MULTILINE)
    read = [orjson.loads(content) for content in blocks(text, "json")]

    for command, event in zip(commands, read, strict=True):
        words = [quoted or bare for quoted, bare in re.findall(r"'([^']*)'|(\S+)", command)]
        fields = encoding.pairs([word.encode() for word in words])

        assert encoding.decode(fields, types_of=CONTRACT_OF_THE_EXAMPLES).event == event


def test_the_wire_format_describes_every_field_and_letter():
    text = section("Fields of Synapse's own")

    own = set(re.findall(r"^\| `(synapse_\w+)` \|", text, re.MULTILINE))
    assert own == {
        encoding.ADDED,
        encoding.VERSION,
        encoding.TYPES,
        encoding.LAYOUT,
        encoding.HOPS,
        encoding.TRACESTATE,
        encoding.CLOUDEVENT,
    }
    assert {name: letter for letter, name in re.findall(r"`(\w)` (\w+)[,.]", text)} == encoding._LETTER_OF
