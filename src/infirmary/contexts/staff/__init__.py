"""The house and its people: departments, doctors and other staff, working hours, leave."""
