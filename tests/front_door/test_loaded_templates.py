"""Templates that a web server compiles before anybody asks for a page."""

from django.template import engines

from synapse_project.front_door import load_templates


def test_the_first_page_of_a_process_compiles_no_template_of_ours_or_of_the_frame():
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
