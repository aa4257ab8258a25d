"""The rows, ids and payloads of a collection, and the single path that every write takes."""
