"""What users declare: environment definitions and settings."""
