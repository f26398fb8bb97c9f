"""Make the pages of docs/reference that say what the code says: the configuration and the command line.

python tools/make_reference.py            write docs/reference/configuration.md and docs/reference/cli.md
python tools/make_reference.py --check    change nothing; exit 1 if a page is not as it would be written
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]  # So that it also runs where the packages are not installed.

from made_pages import write_or_check  # noqa: E402 - after the path, as said above
from reference_cli import cli_page  # noqa: E402 - as the line above
from reference_configuration import configuration_page  # noqa: E402

REFERENCE = ROOT / "docs" / "reference"


def pages(folder: Path) -> dict[Path, str]:
    """Return every page as it should be."""
    return {folder / "configuration.md": configuration_page(), folder / "cli.md": cli_page()}


def main(arguments: list[str], folder: Path = REFERENCE) -> int:
    """Write or check the pages; return the exit code."""
    return write_or_check(pages(folder), arguments, "make reference")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
