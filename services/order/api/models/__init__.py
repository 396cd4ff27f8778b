"""What storefronts send and are shown, cut by noun. Money is decimal strings, times RFC 3339 in UTC."""
