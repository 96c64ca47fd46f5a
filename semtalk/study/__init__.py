"""A study of people who compare methods in pairs: its plan, its page and server, its answers and what they say."""
