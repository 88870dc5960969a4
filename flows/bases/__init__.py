"""Base images move: hear of it, and rebuild what stands on them, in stages."""
