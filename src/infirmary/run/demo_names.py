"""Who lives in the demo hospital. All of them are invented."""
from __future__ import annotations

import random
from datetime import date, timedelta

DEPARTMENTS = [   # name, where, icon, accepts first
    ("General medicine", "Entrance A, ground floor", "stethoscope", False),
    ("Cardiology", "Entrance B, floor 2", "heartbeat", True),
    ("Dermatology", "Entrance A, floor 1", "zoom-scan", False),
    ("Orthopaedics", "Entrance C, ground floor", "bone", False),
    ("Paediatrics", "Entrance B, ground floor", "horse-toy", False),
    ("Maternity", "Entrance B, floor 1", "baby-carriage", True)]

WEEK, DAILY = (1, 2, 3, 4, 5), (1, 2, 3, 4, 5, 6, 7)
Week = list[tuple[tuple[int, ...], list[tuple[str, str]]]]
FULL: Week = [(WEEK, [("08:00", "12:00"), ("13:00", "17:00")])]
EARLY: Week = [((1, 2, 3, 4), [("08:00", "12:00"), ("13:00", "16:00")]), ((5,), [("08:00", "13:00")])]
PART: Week = [((1, 3, 5), [("09:00", "13:00")]), ((2, 4), [("14:00", "19:00")])]
EVERY_DAY: Week = [(DAILY, [("08:00", "12:00"), ("13:00", "18:00")])]
EARLY_TO_LATE: Week = [(DAILY, [("06:00", "12:00"), ("13:00", "23:00")])]   # somebody is there whenever one looks

DOCTORS: list[tuple[str, str, str, str, str, int, Week]] = [   # given, family, department, specialty, room, minutes, week
    ("Amara", "Okafor", "Cardiology", "Cardiology", "Room 3.02", 20, EARLY_TO_LATE),
    ("Sora", "Park", "Cardiology", "Electrophysiology", "Room 3.04", 30, FULL),
    ("Henrik", "Aalto", "Cardiology", "Cardiology", "Room 3.05", 20, EARLY),
    ("Jonas", "Lindqvist", "General medicine", "General medicine", "Room 0.11", 20, EVERY_DAY),
    ("Niamh", "Brennan", "General medicine", "General medicine", "Room 0.12", 15, FULL),
    ("Zofia", "Wiśniewski", "General medicine", "Geriatrics", "Room 0.14", 20, PART),
    ("Yusuf", "Demir", "Dermatology", "Dermatology", "Room 1.07", 15, FULL),
    ("Yara", "Haddad", "Dermatology", "Allergology", "Room 1.08", 20, PART),
    ("Inês", "Ferreira", "Orthopaedics", "Orthopaedics", "Room 0.31", 20, EARLY),
    ("Kenji", "Watanabe", "Orthopaedics", "Hand surgery", "Room 0.33", 30, FULL),
    ("Lucía", "Quintana", "Paediatrics", "Paediatrics", "Room 0.21", 20, FULL),
    ("Anjali", "Raghunathan", "Paediatrics", "Paediatrics", "Room 0.22", 20, PART),
    ("Mei", "Chen", "Maternity", "Obstetrics", "Room 1.21", 30, EARLY),
    ("Nomvula", "Dlamini", "Maternity", "Midwifery", "Room 1.23", 30, FULL)]

REMARKS = {   # what patients write, by what they gave
    1: ["Nobody told us that it would take two hours.", "I was sent home without an answer."],
    2: ["The waiting room was very crowded.", "I had to tell my story three times."],
    3: ["A long wait, but a good talk in the end.", "Fine, though hard to find."],
    4: ["Friendly and clear.", "Good advice; a little rushed at the end.", "Parking is the only trouble."],
    5: ["Took all the time I needed.", "Explained everything so that I understood it.", "Could not have been better.",
        "On time to the minute."]}
HANDS_ON = ("Orthopaedics", "Maternity")   # where nobody is seen by video
LIMITS: dict[str, dict[str, int]] = {"Geriatrics": {"buffer_minutes": 10}, "Midwifery": {"most_per_day": 12}}   # by specialty

THINGS = [   # kind, name, department or the whole hospital
    ("room", "Procedure room 1", "Cardiology"), ("room", "Procedure room 2", "Cardiology"), ("room", "Plaster room", "Orthopaedics"),
    ("room", "Quiet room", None), ("equipment", "Ultrasound 1", "Cardiology"), ("equipment", "Ultrasound 2", None),
    ("equipment", "ECG monitor", None)]

STAFF = [("Thandiwe", "Mokoena", "nurse", "Cardiology"), ("Mirela", "Popescu", "reception", None),
         ("Tomás", "Herrera", "pharmacist", None), ("Ingrid", "Haugen", "cashier", None),
         ("Noor", "van Dijk", "auditor", None), ("Birgitta", "Svensson", "nurse", "Paediatrics"),
         ("Liam", "Byrne", "reception", None)]

ACCOUNTS = [("admin", "Henrik Salo"), ("doctor", "Dr Amara Okafor"), ("nurse", "Thandiwe Mokoena"),
            ("reception", "Mirela Popescu"), ("pharmacist", "Tomás Herrera"), ("cashier", "Ingrid Haugen"),
            ("auditor", "Noor van Dijk"), ("patient", "Rosa Delgado Vega")]

REASONS = ["Breathless on stairs", "Second opinion", "Swollen ankles", "Palpitations", "Follow-up",
           "Blood pressure review", "Results", "Rash", "Knee pain", "Vaccination", "Cough for three weeks", "Check-up",
           "Headaches", "Sleep", "Back pain", "Allergy test", "New prescription", ""]

WOMEN = ["Aiko", "Amina", "Anjali", "Birgitta", "Chloé", "Elif", "Fatemeh", "Grace", "Hana", "Hanna", "Ingrid", "Joana",
         "Kateřina", "Leilani", "Lan", "Lucía", "Maria", "Ngozi", "Noor", "Olena", "Priya", "Ruth", "Sara", "Sofia",
         "Thandiwe", "Yara", "Zeynep", "Zoë"]
MEN = ["Ali", "Arjun", "Carlos", "Dmitri", "Eero", "Emeka", "Farid", "Giorgos", "Håkon", "Ibrahim", "Jamal", "João",
       "Kwame", "Liam", "Marek", "Michael", "Nikola", "Oluwaseun", "Peter", "Samuel", "Tane", "Tomás", "Viktor", "Wei",
       "Yusuf", "Łukasz"]
FAMILIES = ["Adeyemi", "Andersen", "Boateng", "Byrne", "Dvořák", "Eze", "Ferrer", "Haddad", "Haugen", "Herrera", "Hosseini",
            "Ibáñez", "Kamara", "Kaya", "Kealoha", "Kowalczyk", "Lehtonen", "Lindholm", "Marchand", "Marković", "Mehta",
            "Mokoena", "Müller", "Nagy", "Nair", "Nakato", "Nguyễn", "Ngata", "O’Donnell", "Osei", "Park", "Pereira",
            "Petrov", "Popescu", "Rossi", "Rostami", "Svensson", "Tanaka", "van Dijk", "Virtanen", "Volkov", "Yıldız",
            "Yusuf", "Zhang", "Şahin", "Ødegård"]
RELATIVES = [("daughter", "Nora"), ("son", "Milan"), ("wife", "Ines"), ("husband", "Karim"), ("sister", "Paula"),
             ("brother", "Tomas")]
FAMILY = [   # of Rosa: years old, and by what right she acts for them
    ("Emma", "Delgado Vega", 12, "female", "parent", "Birth certificate 114/2014"),
    ("Ignacio", "Delgado", 84, "male", "carer", "Signed consent"),
]
PAYERS = ["Harbour Mutual", "Northlight Health", "Seafarers' Fund"]
LANGUAGES = ["en", "en", "en", "es", "pl", "ar", "vi", "pt", "tr", "uk"]


def patient(n: int, chance: random.Random, today: date) -> tuple[str, str, date, str, str, str | None, str]:
    """Given name, family name, birth date, gender, phone, e-mail, language."""
    if n == 0:
        return ("Rosa", "Delgado Vega", date(1968, 3, 14), "female", "0600 555 114", "patient@demo.test", "es")
    gender = "female" if chance.random() < .53 else "male"
    given, family = chance.choice(WOMEN if gender == "female" else MEN), chance.choice(FAMILIES)
    born = today - timedelta(days=int(chance.triangular(30, 34_000, 16_000)))
    return given, family, born, gender, f"0600 555 {200 + n:03}", None, chance.choice(LANGUAGES)

# Who has come without a booked time: why they should not wait long, and in words.
WALK_INS = (("none", ""), ("elderly", "87 years"), ("none", ""), ("small_child", "Two years old"), ("none", ""))
