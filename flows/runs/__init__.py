"""Remote runs: submitted, queued, built by workers, followed, recorded."""
