"""When and where builds happen: the composition root and the flows."""
