"""Visits: free slots, booking, acceptance, rescheduling, and the day of the visit."""
