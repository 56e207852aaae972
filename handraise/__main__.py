"""`python -m handraise` is `handraise`."""

from handraise.cli import main

main()
