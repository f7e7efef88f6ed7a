"""How things are said to people: progress and tables on a terminal, plain words for page, API and commands."""
