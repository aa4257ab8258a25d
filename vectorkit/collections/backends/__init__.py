"""Rows on devices: the state, the jitted programs, and the kinds of backend."""
