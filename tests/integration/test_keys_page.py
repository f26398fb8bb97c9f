"""The page about keys shows what works: its examples are one program."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from cluster import Cluster

pytestmark = pytest.mark.other_loop_in_system

PAGE = Path(__file__).parents[2] / "docs" / "keys.md"
LIMIT_S = 60.0


def test_the_examples_of_the_page_about_keys_run_one_after_the_other(shared: Cluster) -> None:
    program = "\n".join(re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={"HSM_CLIENT_CONFIG": str(shared.client_config)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.split()
    assert first == second
