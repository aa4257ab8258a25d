"""The filters of `where`: grammar, tree, predicates, and payloads by column."""
