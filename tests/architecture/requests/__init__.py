"""How to ask each operation for something that it can do, about a person of one's choice: a file for each part."""
from . import appointments, identity, others, patients, plans, queue, resources, staff, video
from .making import CONTRACTS, MAKERS, OPERATIONS

__all__ = ["CONTRACTS", "MAKERS", "OPERATIONS", "appointments", "identity", "others", "patients", "plans", "queue", "resources",
           "staff", "video"]
