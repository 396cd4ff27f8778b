"""From a notification to a mail that a server has taken: words, letters, SMTP, and the loop that drives them."""
