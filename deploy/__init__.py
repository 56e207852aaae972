"""A broker and a Redis that start by themselves, and what an operator deploys. Standard library only."""
