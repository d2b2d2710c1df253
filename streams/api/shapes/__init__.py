"""What the API takes and gives, as the OpenAPI document describes it. Nothing is checked or rendered with these."""
