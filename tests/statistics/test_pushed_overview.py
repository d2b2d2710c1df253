"""The admin's overview, pushed with each sample to those who look at it."""

from threading import Event

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.db import OperationalError
from django.test import Client

from core import audit
from core.admin import home
from streams.live import overview, statistics
from streams.live.overview import frames_of
from streams.snapshot import holder
from synapse.auth.principal import SYSTEM
from tests.live.server import running_server, watching
from tests.statistics.conftest import Scene

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(statistics, "LOOK_EVERY", 0.01)
    monkeypatch.setattr("streams.live.session_revalidation.PEOPLE_EVERY", 0.0)
    monkeypatch.setattr(overview, "OVERVIEW", overview.PushedOverview())
    monkeypatch.setattr(home, "shared_parts", home._SharedParts())


@pytest.fixture
def scene(redis, define):
    define("orders")
    redis.xgroup_create("orders", "billing", "$", mkstream=True)
    scene = Scene(redis)
    scene.sample(2)
    return scene


@pytest.fixture
def server(scene):
    holder.refresh()
    with running_server() as running:
        yield running


def person(name, *permissions, **more):
    """Return a user with some permissions, and a browser in which they are logged in."""
    user = User.objects.create_user(name, password="secret", is_staff=True, **more)
    for permission in permissions:
        app, codename = permission.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    client = Client()
    client.force_login(user)
    return user, client


def pushed(server, client, **query):
    """Watch the overview as the page of a browser does."""
    cookie = {"cookie": f"sessionid={client.cookies['sessionid'].value}"} if client else {}
    return watching(f"{server.url}/stats/live", headers=cookie, page="overview", **query)


def lines_after(lines, frame):
    """Return the lines that a page has after a frame."""
    if "html" in frame.data:
        return frame.data["html"].split("\n")
    return [frame.data["lines"].get(str(place), line) for place, line in enumerate(lines)]


def test_the_overview_is_pushed_before_each_sample_and_then_the_lines_that_changed(server, scene):
    _, client = person("anna", is_superuser=True)

    with pushed(server, client) as watch:
        scene.publish(1)
        scene.sample()
        first, sample = watch.next(), watch.next()
        scene.publish(2)
        scene.sample()
        second = watch.next()

    assert [frame.name for frame in (first, sample, second)] == ["overview", "sample", "overview"]
    page = first.data["html"].split("\n")
    assert any(">orders</a>" in line for line in page)
    assert 0 < len(second.data["lines"]) < len(page) / 2
    assert 'data-label="Events" class="s-right s-number">3<' in "".join(lines_after(page, second))


def test_viewers_who_may_see_the_same_cost_one_rendering_a_sample(server, scene, monkeypatch):
    made, render = [], home._render_parts

    def counted(request):
        made.append(request.user.is_superuser)
        return render(request)

    monkeypatch.setattr(home, "_render_parts", counted)
    clients = [person(name, is_superuser=True)[1] for name in ("anna", "bo")]

    with pushed(server, clients[0]) as one, pushed(server, clients[1]) as other:
        for _ in range(2):
            scene.sample()
            for watch in (one, other):
                assert [watch.next().name, watch.next().name] == ["overview", "sample"]

    assert made == [True, True]


def test_a_viewer_is_pushed_what_their_permissions_let_them_see(server, scene):
    audit.record(SYSTEM, "change", "stream orders", before={"max_length": 5}, after={"max_length": 9})
    clients = [person("anna", is_superuser=True)[1], person("bo", "streams.view_stream")[1]]

    with pushed(server, clients[0]) as hers, pushed(server, clients[1]) as his:
        scene.sample()
        pages = [watch.next().data["html"] for watch in (hers, his)]
        fetched = clients[1].get("/admin/parts/", headers={"host": server.url.removeprefix("http://")})

    assert ["Latest changes" in page for page in pages] == [True, False]
    assert ">orders</a>" in pages[1]
    assert pages[1] == fetched.content.decode()


def test_a_permission_that_is_given_or_taken_away_changes_what_is_pushed(server, scene):
    user, client = person("bo", "streams.view_stream", "core.view_auditentry")

    with pushed(server, client) as watch:
        scene.sample()
        before = watch.next().data["html"]
        user.user_permissions.remove(Permission.objects.get(codename="view_auditentry"))
        after = before
        while "Latest changes" in after:
            scene.sample()
            frame = watch.next()
            if frame.name == "overview":
                after = "\n".join(lines_after(after.split("\n"), frame))

    assert "Latest changes" in before
    assert ">orders</a>" in after


@pytest.mark.parametrize("ended", ["log out", "session deleted", "password changed", "deactivated"])
def test_a_viewer_who_is_no_longer_logged_in_is_pushed_nothing_more(server, scene, ended):
    user, client = person("anna", is_superuser=True)

    with pushed(server, client) as watch:
        if ended == "log out":
            client.post("/admin/logout/")
        elif ended == "session deleted":
            Session.objects.all().delete()
        elif ended == "password changed":
            user.set_password("another")
            user.save()
        else:
            User.objects.update(is_active=False)
        last = watch.rest()[-1]

    assert last.name == "bye"


def test_only_a_person_with_the_right_to_see_statistics_is_pushed_the_overview(server, scene):
    _, client = person("bo")

    for viewer in (client, None):
        with pushed(server, viewer) as watch:
            scene.sample()
            assert watch.next().name == "sample"


def test_statistics_are_pushed_when_the_overview_cannot_be_made(server, scene, monkeypatch):
    def fail(request):
        raise OperationalError("away")

    _, client = person("anna", is_superuser=True)

    with pushed(server, client) as watch:
        monkeypatch.setattr(home, "_render_parts", fail)
        scene.sample()
        without = watch.next()
        monkeypatch.undo()
        monkeypatch.setattr(statistics, "LOOK_EVERY", 0.01)
        scene.sample()
        then = watch.next()

    assert [without.name, then.name] == ["sample", "overview"]


def test_a_slow_overview_is_waited_for_and_shown_with_the_next_sample(server, scene, monkeypatch):
    begun, release, render = Event(), Event(), home._render_parts

    def slow(request):
        begun.set()
        assert release.wait(20)
        return render(request)

    _, client = person("anna", is_superuser=True)
    monkeypatch.setattr(home, "_render_parts", slow)

    with pushed(server, client) as watch:
        scene.sample()
        assert begun.wait(20)
        scene.sample()
        release.set()
        names = [watch.next().name for _ in range(4)]

    assert names == ["overview", "sample"] * 2


def test_viewers_of_the_overview_before_get_only_its_changed_lines():
    first = frames_of("one\ntwo\nthree", None)
    second = frames_of("one\n2\nthree", first)
    longer = frames_of("one\n2\nthree\nfour", second)

    assert (second.follows, second.changes) == (first.number, b'event: overview\ndata: {"lines":{"1":"2"}}\n\n')
    assert second.whole == b'event: overview\ndata: {"html":"one\\n2\\nthree"}\n\n'
    assert (longer.follows, longer.changes) == (0, b"")
