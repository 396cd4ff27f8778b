"""What notification decides: whom an event is told to, and what becomes of a mail that was tried."""
