"""What is measured. Each workload gives values for one subject and one round; the names are those of the spec."""

from .bulk import BulkDown, BulkUp, Flows8, Flows64, Flows1000
from .connects import Connects
from .exchange import OpenLoop, OpenLoopHalf, PingPong, PingPongKilobyte, Requests
from .handshakes import Handshakes
from .http import Http
from .interception import Interception
from .memory import Memory, MemoryAfterBurst
from .plugin import Plugin
from .restart import Restart

ALL = {workload.name: workload for workload in (
    BulkUp, BulkDown, Flows8, Flows64, Flows1000, PingPong, PingPongKilobyte, OpenLoop, OpenLoopHalf, Requests, Http,
    Handshakes, Connects, Memory, MemoryAfterBurst, Interception, Restart, Plugin)}
DEFAULT = tuple(ALL)
# What a first look shows in a few minutes.
QUICK = tuple(each.name for each in (BulkUp, BulkDown, Flows64, PingPong, Requests, Connects, Interception))

__all__ = ["ALL", "DEFAULT", "QUICK"]
