"""The three services and the chassis that they stand on."""
