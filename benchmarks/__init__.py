"""Benchmarks: one command, `python -m benchmarks`, for every figure that vectorkit claims.

A suite (`benchmarks/suites`) is a function that yields rows; peers (`benchmarks/peers`) take part
in the same run, on the same data, each in a process of its own. Every row is kept as one JSON line
(`history.py`), judged by `budgets.toml`, and shown by `report.py`. A figure of another run, or
without its ratio to a competitor of the same run, says little.
"""
