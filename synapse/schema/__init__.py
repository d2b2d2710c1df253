"""JSON Schema: validate, explain, bound the cost, resolve references."""
