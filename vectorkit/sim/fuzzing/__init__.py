"""The search for failing seeds: random scenarios, coverage, shrinking, kept seeds."""
