"""The command line: the one place that reads the environment and puts the other rooms together."""
