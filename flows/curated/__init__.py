"""The curated set: environments that are built before anybody asks for them, tested, and published."""
