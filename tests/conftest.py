import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

if os.geteuid() != 0:
    pytest.skip("these suites make network namespaces and cgroups: run them as root", allow_module_level=True)
