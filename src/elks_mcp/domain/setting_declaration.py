"""How a setting is declared: its environment variable, and how people are shown its value."""

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, SecretStr

from elks_mcp.domain.money import UNITS, Money
from elks_mcp.domain.phone import Number, SenderId
from elks_mcp.runtime.validation import parse_switch

Switch = Annotated[bool, BeforeValidator(parse_switch)]
"""A setting that is on or off, written as true/false, 1/0, yes/no or on/off."""


def write_value(value: object) -> str:
    """Return a setting's value as text, with phone numbers masked and secrets replaced by "set"."""
    if isinstance(value, SecretStr):
        return "set"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, frozenset | tuple):
        return ", ".join(sorted(map(write_value, value)))
    if isinstance(value, Number):
        return value.masked
    return value.name if isinstance(value, SenderId) else str(value)


@dataclass(frozen=True, slots=True)
class Setting:
    """The declaration of a setting, in the annotation of the field that holds its value.

    `timeout: Annotated[float, Field(ge=0.1), Setting("ELKS_TIMEOUT")] = 10` is a complete setting: the type
    and `Field` say which values are valid, and the docstring below the field documents the setting for
    operators. The environment is read, and `doctor`, the policy report and docs/settings.md are written, from
    these declarations.
    """

    variable: str
    """The environment variable."""

    _: KW_ONLY

    is_secret: bool = False
    """The value is a secret: errors never repeat it, and a file that holds it should be closed to others."""

    is_private: bool = False
    """The value is an identity, or an address that can hold a password: errors never repeat it."""

    can_be_file: bool = False
    """The variable with `_FILE` at its end may name a file that holds the value."""

    write: Callable[[Any], str] = write_value
    """Return the value as `doctor` shows it."""


@dataclass(frozen=True, slots=True)
class RuleSetting(Setting):
    """The declaration of a setting that limits what may be sent or read.

    The policy report lists these settings.
    """

    title: str
    """The name of the rule in the policy report: the beginning of its line, before a colon."""

    _: KW_ONLY

    show: Callable[[Any], str] = write_value
    """Return the value as the policy report states it. The model reads it, so it holds no full number."""

    def explain(self, value: Any, currency: str | None) -> str:  # noqa: ARG002  (budgets need it)
        """Return the value as the policy report states it.

        `currency` is the account's: an ISO 4217 code, "" if the account has none, None if it is not known.
        """
        return self.show(value)


def write_amount(units: int) -> str:
    """Return an amount in ten-thousandths as text, without a currency."""
    return str(Money(units))


@dataclass(frozen=True, slots=True)
class BudgetSetting(RuleSetting):
    """The declaration of a limit on cost, in ten-thousandths of the account's currency."""

    _: KW_ONLY

    write: Callable[[Any], str] = write_amount

    kronor: int
    """The default in SEK, NOK and DKK; a tenth of it in any other currency."""

    def limit(self, configured: int | None, currency: str) -> Money:
        """Return the limit in `currency`: the configured one, else the default."""
        if configured is not None:
            return Money(configured, currency)
        nordic = Money(self.kronor * UNITS, currency)
        return nordic if currency in {"SEK", "NOK", "DKK"} else nordic.split(10)

    def explain(self, value: Any, currency: str | None) -> str:
        """Return the limit, or both defaults if neither a limit nor the currency is known."""
        if value is None and currency is None:
            return f"{self.kronor} in SEK, NOK and DKK, else {self.kronor // 10}"
        return str(self.limit(value, currency or ""))


def find_declarations(model: type[BaseModel]) -> Mapping[str, Setting]:
    """Return the declaration of every setting in a model, by the name of its field.

    Raises:
        TypeError: the annotation of a field has no `Setting`, or has several.
    """
    return {
        name: _find_declaration(f"{model.__name__}.{name}", field.metadata)
        for name, field in model.model_fields.items()
    }


def _find_declaration(name: str, metadata: list[Any]) -> Setting:
    found = [each for each in metadata if isinstance(each, Setting)]
    if len(found) != 1:
        raise TypeError(f"{name} has {len(found)} declarations. Write one `Setting` in its annotation.")
    return found[0]
