"""The commands of `prebake`, one module each; what they do is in flows/, imported when they run."""
