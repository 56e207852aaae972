"""What the right results are, computed naively."""
