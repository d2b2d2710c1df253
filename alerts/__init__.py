"""Alert rules and silences in the database, and the evaluator that applies them (synapse.alerts)."""
