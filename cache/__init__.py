"""Where bytes and traces live: digests, keys, OCI nouns, stores, registries."""
