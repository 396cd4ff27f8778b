"""The inventory service; README.md beside this file is its canvas."""
