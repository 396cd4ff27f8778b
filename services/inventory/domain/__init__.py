"""What inventory decides: pure functions and guarded aggregates over stock that is locked and loaded already."""
