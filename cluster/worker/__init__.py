"""The process of one job: reads what to do, does it, and leaves its events and its result."""
