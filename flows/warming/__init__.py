"""Put images where jobs will run, before they do: plan (pure), targets, run, grade."""
