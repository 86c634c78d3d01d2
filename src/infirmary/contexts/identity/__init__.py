"""Who may come in: accounts, roles, sign-in, sessions and the keys that sign them."""
