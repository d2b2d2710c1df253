"""What must an event look like? JSON Schemas, contracts and their versions."""
