"""`manage.py chaos`: kills workers and Redis at random while events flow, then counts the outcome of each event.

The production code is under test: events are stored by the script that idempotent publishing uses, workers are those
of `manage.py consume`, and the server is the embedded one, with its own configuration, or another engine under it. The
ledger is plain files, never the system under test.
"""
