"""Many runs: grids of settings, one row for each run, results on disk, statistics."""
