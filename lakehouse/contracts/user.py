"""The contract of a user change: a customer registered or changed the profile."""

from lakehouse.contracts.base import COUNTRIES, USER_ID, Contract, Field, Kind

USER = Contract(
    topic="users",
    event_type="user",
    meaning="one registration or change of a profile",
    key_field="user_id",
    body=(
        USER_ID,
        Field("email", Kind.TEXT, "e-mail address (personal data)", example="ada@example.org"),
        Field("age", Kind.INTEGER, "years", minimum=0, maximum=150, example=36),
        Field("country", Kind.TEXT, "country of the profile, not of a visit", values=COUNTRIES, example="GB"),
        Field("registration_date", Kind.TIME, "when the user registered (UTC)", example="2024-02-29T12:00:00.000Z"),
        Field("preferences", Kind.TEXTS, "names of preferred categories", example=["Books", "Garden Tools"]),
    ),
)
