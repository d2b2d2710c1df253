"""The engine: plain Python that knows neither Django nor the apps around it. Its floors are in pyproject.toml."""
