"""Dead letters as values: filters, cursors, fingerprints."""
