"""The rules of the register: people, by what they are found, who may be the same, and what hangs on a record."""
