"""Faults as data: single faults, patterns, and random lists of them."""
