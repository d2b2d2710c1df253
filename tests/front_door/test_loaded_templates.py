"""What a web server prepares of its pages before the first viewer asks for one."""

import pytest
from django.db import OperationalError
from django.template import engines

from core.admin import home
from synapse_project.front_door import load_templates, prepare_pages
from tests.definitions import define


def test_the_first_page_of_a_process_compiles_no_template_of_synapse_or_of_its_theme():
    (loader,) = engines["django"].engine.template_loaders

    loader.reset()
    load_templates()

    compiled = {str(name) for name in loader.get_template_cache}
    assert compiled >= {
        "admin/index.html",
        "core/admin/home_parts.html",
        "streams/admin/home.html",
        "bridges/admin/home.html",
        "unfold/layouts/skeleton.html",
    }


@pytest.mark.django_db
def test_the_parts_of_the_overview_are_made_once_before_the_first_viewer_asks(redis, monkeypatch):
    define("orders")
    made, render = [], home._render_parts
    monkeypatch.setattr(home, "_render_parts", lambda request: made.append(render(request)))

    prepare_pages()

    (html,) = made
    assert b"orders" in html


@pytest.mark.django_db
def test_a_web_server_starts_while_the_database_is_away(monkeypatch):
    def fail(request):
        raise OperationalError("away")

    monkeypatch.setattr(home, "_render_parts", fail)

    prepare_pages()
