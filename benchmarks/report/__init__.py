"""How a run is shown: as text while it goes on, then as JSON, Markdown and a plot in `benchmarks/results/`."""
