"""Benchmarks: each a script that prints its own table, run as `python -m benchmarks.NAME`.

They compare within one run, competitors in turn, and end with a line for each bar: the measured
ratio, the bar, met or missed. A figure of another run, or without its ratio, says little.
"""
