"""`manage.py chaos`: kills workers and Redis at random while events flow, and then checks what happened to each event.

It tests the production code: events are stored by the script of idempotent publishing, workers are those of `manage.py
consume`, and the server is the embedded one or another engine with the same configuration. The ledger is kept in plain
files, independently of the system under test.
"""
