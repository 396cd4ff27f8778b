"""Notification's statements, beside the functions that run them."""
