"""What a run shows: samples, recall, the history of each write, stuck nodes."""
