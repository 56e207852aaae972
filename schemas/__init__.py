"""The contracts: which topics there are, what their records hold, and how those become bytes and back."""
