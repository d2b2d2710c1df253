"""`manage.py chaos`: kills workers and Redis at random while events flow, then counts what became of each event.

What is under test is the real thing: events are stored by the script that idempotent publishing uses, workers are those
of `manage.py consume`, and the server is the embedded one, with its own configuration, or another engine under it. What
happened is written down in plain files, never in the system under test.
"""
