"""What reports announces: nothing. It listens."""
