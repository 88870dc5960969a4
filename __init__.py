"""prebake: environment definitions become OCI images, layer by layer."""
