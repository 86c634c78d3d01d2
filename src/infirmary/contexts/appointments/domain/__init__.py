"""The rules of visits: when they can be, how they are booked and moved, and what becomes of them."""
