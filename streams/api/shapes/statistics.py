"""Statistics over time."""

from rest_framework.fields import BooleanField, CharField, ChoiceField, FloatField, IntegerField, ListField

from streams.api.shapes.base import Shape


class Series(Shape):
    """One series of a stream or of one of its groups."""

    name = CharField()
    stream = CharField()
    group = CharField(required=False, help_text="Missing where the series is the stream's own.")
    reason = CharField(required=False, help_text="Of `refused`: the last part of the problem's type.")
    exact = BooleanField(required=False, help_text="Of `lag_events`: whether no value is an estimate.")
    kind = ChoiceField(choices=["counter", "gauge"])
    unit = CharField()
    values = ListField(
        child=FloatField(allow_null=True), help_text="One for each step; null where nothing was sampled."
    )


# `from` is a word of Python's.
Statistics = type(
    "Statistics",
    (Shape,),
    {
        "__doc__": "Series over a time range.",
        "__module__": __name__,
        "from": IntegerField(help_text="When the first step begins, in seconds since 1970."),
        "to": IntegerField(help_text="When the last step ends."),
        "step": IntegerField(help_text="Seconds from one value to the next."),
        "series": Series(many=True),
    },
)
