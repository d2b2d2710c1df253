"""The form that people log in with: what is longer than any name or password is wrong, and no password is hashed."""

from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from unfold.forms import AuthenticationForm  # type: ignore[import-untyped]

MOST_NAME_CHARACTERS = User._meta.get_field("username").max_length or 150
MOST_PASSWORD_CHARACTERS = 4096


class LoginForm(AuthenticationForm):  # type: ignore[misc]  # unfold has no types
    """Refuses what cannot be right before anything is counted or hashed."""

    def clean(self) -> Any:
        too_long = (
            len(self.cleaned_data.get("username") or "") > MOST_NAME_CHARACTERS
            or len(self.cleaned_data.get("password") or "") > MOST_PASSWORD_CHARACTERS
        )
        if too_long:
            raise self.get_invalid_login_error()
        return super().clean()


class MaximumLengthValidator:
    """Refuses passwords that the log-in form would not take (AUTH_PASSWORD_VALIDATORS)."""

    def validate(self, password: str, user: Any = None) -> None:
        """Raise ValidationError for a password that is too long."""
        if len(password) > MOST_PASSWORD_CHARACTERS:
            raise ValidationError(
                f"This password is too long. It must contain at most {MOST_PASSWORD_CHARACTERS} characters.",
                code="password_too_long",
            )

    def get_help_text(self) -> str:
        """Return what the pages say of it."""
        return f"Your password must contain at most {MOST_PASSWORD_CHARACTERS} characters."
