"""The backlog drain, measured: this product against a textbook saga, on the same servers and tables (`make bench`)."""
