"""The cost of statistics: of the pages that show them, of their viewers, of the sampler, and its effect on
publishing.
"""
