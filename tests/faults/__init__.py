"""Three hosts with addresses of their own on one machine, and what may happen to them."""
