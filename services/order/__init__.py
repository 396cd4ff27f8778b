"""The order service; README.md beside this file is its canvas."""
