"""Jobs: a command run in an environment, and the record of what was run."""
