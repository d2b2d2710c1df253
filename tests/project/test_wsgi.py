"""Django under a WSGI server, or `runserver`: no front door starts the background tasks."""

import threading

from bridges.groups import expiry
from streams import background_tasks
from synapse_project import wsgi


def test_the_first_request_starts_the_background_tasks_and_the_end_of_the_process_stops_them(monkeypatch):
    happened = []
    for module, name in ((background_tasks, "tasks"), (expiry.WORK, "expiry")):
        for what in ("start", "stop"):
            monkeypatch.setattr(module, what, lambda name=name, what=what: happened.append(f"{what} {name}"))
    monkeypatch.setattr("atexit.register", lambda stop: stop())
    monkeypatch.setattr(wsgi, "_first", threading.Lock())
    monkeypatch.setattr(wsgi, "_django", lambda *_: happened.append("answer"))

    wsgi.application({}, None)
    wsgi.application({}, None)

    assert happened == ["start tasks", "stop tasks", "start expiry", "stop expiry", "answer", "answer"]
