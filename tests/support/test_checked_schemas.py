"""A schema that is wrong is refused however often it is checked."""

import pytest
from jsonschema import Draft202012Validator, SchemaError  # type: ignore[import-untyped]


def test_a_wrong_schema_is_refused_again_and_after_a_right_one() -> None:
    right, wrong = {"type": "object"}, {"type": "nonsense"}
    for schema in (wrong, wrong):
        with pytest.raises(SchemaError):
            Draft202012Validator.check_schema(schema)
    for schema in (right, right):
        Draft202012Validator.check_schema(schema)
    with pytest.raises(SchemaError):
        Draft202012Validator.check_schema(wrong)
