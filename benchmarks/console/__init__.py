"""The cost of statistics: of the pages that show them, their viewers, the sampler, and publishing beside it."""
