"""The replica's role: the stream of records, the view of the master, elections."""
