"""ACR task files, run by one engine: steps as containers, side by side where nothing orders them."""
