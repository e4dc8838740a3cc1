import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

if os.geteuid() != 0:
    pytest.skip("the netns suite makes network namespaces and cgroups: run it as root", allow_module_level=True)
