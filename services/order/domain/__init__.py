"""What the order service decides: prices, transitions, reactions; pure, with time and ids as arguments."""
