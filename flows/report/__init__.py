"""One HTML page about a store: gathered facts, geometry of its pictures, a template."""
