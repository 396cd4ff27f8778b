"""The order service's HTTP API: models of what is sent and shown, and the endpoints."""
