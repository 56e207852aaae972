"""The pure core: what happens to a lead, as functions of records and rules; no clock, no randomness, no I/O."""
