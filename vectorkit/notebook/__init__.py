"""What a notebook shows: tables of objects, and progress."""
