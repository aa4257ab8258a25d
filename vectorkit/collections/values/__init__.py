"""Convert what callers pass to what collections store."""
