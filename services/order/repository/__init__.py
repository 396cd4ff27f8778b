"""The order service's tables: set-based statements, each a named constant beside the functions that run it."""
