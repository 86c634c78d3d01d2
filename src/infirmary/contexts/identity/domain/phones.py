"""Phone numbers that text messages may be sent to."""
from __future__ import annotations

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType

from infirmary.contexts.identity.contract import PhoneUnfit
from infirmary.kernel.errors import FieldError

# Those of people, and never those that cost who calls them: premium numbers are why somebody would have us send many.
TO_PEOPLE = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)


def home_of(hospital_phone: str) -> str | None:
    """The country (ISO 3166) of a number with country code."""
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(hospital_phone))
    except NumberParseException:
        return None


def e164(typed: str, *, home: str | None, countries: frozenset[str]) -> str:
    """The number as networks take it (ITU-T E.164), read as in `home` without country code; one of a mobile phone in these
    countries."""
    try:
        number = phonenumbers.parse(typed, home)
    except NumberParseException:
        raise PhoneUnfit(errors=[FieldError("phone", "Write the whole number with its country code, such as +353 85 012 3456.")]
                         ) from None
    if phonenumbers.region_code_for_number(number) not in countries or not phonenumbers.is_valid_number(number) \
            or phonenumbers.number_type(number) not in TO_PEOPLE:
        raise PhoneUnfit(errors=[FieldError("phone", "Use the number of a mobile phone in this country.")])
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)
