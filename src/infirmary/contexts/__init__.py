"""The rooms of the hospital. Each owns its data; others ask through its contract and hear of its events."""
