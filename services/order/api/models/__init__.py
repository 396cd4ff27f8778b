"""What storefronts send and are shown, cut by noun (REST 2 and 5). Money is decimal strings, times RFC 3339 in UTC."""
