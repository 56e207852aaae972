"""Folding again: a file of events with no broker at all, and recorded inboxes against what was published."""
