"""Rules of alerts and silences in the database, and the evaluator that runs by them (synapse.alerts)."""
