"""How series join, what is learned and what must not be, and which model serves."""
