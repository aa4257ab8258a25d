"""The rows, ids and payloads of a collection, and the one path of every write."""
