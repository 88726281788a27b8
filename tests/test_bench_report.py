"""The report of the benchmark: targets, and the copy of the reference."""

import json
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"
sys.path.append(str(SCRIPTS))

from bench_report import Comparison, Samples, write_table  # noqa: E402
from reference import copied_reference  # noqa: E402

AT_MOST = Comparison("a call", "call", "theirs", most_ratio=0.5)
AT_LEAST = Comparison("many calls", "calls a second", "theirs", least_ratio=1)
IN_ALL = Comparison("memory", "memory", "theirs", most=80)


@pytest.mark.parametrize(
    ("comparison", "ours", "theirs", "excess"),
    [
        (AT_MOST, [1.0, 2.0, 9.0], [2.0, 4.0, 18.0], 1.0),
        (AT_MOST, [2.0, 2.0, 2.0], [2.0, 2.0, 100.0], 2.0),
        (AT_LEAST, [50.0], [100.0], 2.0),
        (AT_LEAST, [200.0], [100.0], 0.5),
        (IN_ALL, [120.0], [1.0], 1.5),
        (Comparison("a call", "call", "theirs"), [9.0], [1.0], None),
    ],
)
def test_a_figure_is_compared_with_its_target_by_the_median_of_the_ratios(
    comparison: Comparison, ours: list[float], theirs: list[float], excess: float | None
) -> None:
    samples = Samples()
    for name, figures in (("ours", ours), ("theirs", theirs)):
        for figure in figures:
            samples.add(comparison.figure, name, figure)
    row = samples.compare("ours", comparison)
    assert row.excess == excess
    assert ("Target missed" in write_table([row])) is ((excess or 0) > 1)


def test_the_copy_of_the_reference_differs_in_its_address_alone(tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "node_modules").mkdir()
    client = tmp_path / "dist" / "elks-client.js"
    files = {client: "a = 'https://api.46elks.com/a1';\nb = 1;\n", tmp_path / "dist" / "index.js": "c = 2;\n"}
    for path, source in {**files, tmp_path / "package.json": "{}"}.items():
        path.write_text(source)
    with copied_reference(tmp_path, "http://127.0.0.1:1/a1", "node") as command:
        copy = Path(command.arguments[1]).parent
        assert (copy / "index.js").read_text() == "c = 2;\n"
        address = json.dumps("http://127.0.0.1:1/a1")
        assert (copy / "elks-client.js").read_text() == f"a = {address};\nb = 1;\n"
    assert not copy.exists()
    assert client.read_text() == files[client]
    client.write_text("no address")
    with (
        pytest.raises(SystemExit, match="does not have the address"),
        copied_reference(tmp_path, "x", "node"),
    ):
        pass
