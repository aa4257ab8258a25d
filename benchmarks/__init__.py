"""Benchmarks: each a script that prints its own table, run as `python -m benchmarks.NAME`."""
