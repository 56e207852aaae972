"""The desk: who answers a raised hand, by when, and what happens if nobody does."""
