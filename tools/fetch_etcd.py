"""Makes sure that there is an etcd that nodes can use, and prints where; exits 1 with a line where there is none."""

import sys

from hsmctl.dev.etcd_program import get_etcd
from hsmctl.failures import CommandError

if __name__ == "__main__":
    try:
        print(get_etcd())
    except CommandError as error:
        sys.exit(f"redoubt: {error}")
