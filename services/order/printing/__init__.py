"""What the order service prints: the bytes of documents, made by a library from what the domain says."""
