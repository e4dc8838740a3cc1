"""What is measured. Each workload gives values for one subject and one round; the names are those of the spec."""

from .bulk import Bulk6, BulkDown, BulkIperf3, BulkUp, Flows8, Flows64, Flows1000, ManyPairs, Sizes
from .connects import Connects
from .convergence import (Convergence, ConvergenceLarge, ConvergenceMany, ConvergenceOne, ConvergenceOneLarge,
                          ConvergenceOneOfMany, ConvergenceSmall, OpenLoopWhileItChanges)
from .exchange import OpenLoop, OpenLoopHalf, PingPong, PingPongKilobyte, Requests
from .handshakes import Handshakes, HybridHandshakes
from .http import Http, Http2
from .interception import Interception, InterceptionByAgent
from .memory import Memory, MemoryAfterBurst
from .plugin import Plugin
from .restart import Restart, RestartLarge

ALL = {workload.name: workload for workload in (
    BulkUp, BulkDown, BulkIperf3, Bulk6, Flows8, Flows64, Flows1000, ManyPairs, Sizes, PingPong, PingPongKilobyte,
    OpenLoop, OpenLoopHalf, Requests, Http, Http2, Handshakes, HybridHandshakes, Connects, Memory, MemoryAfterBurst,
    Interception, InterceptionByAgent, Restart, Plugin,
    ConvergenceOne, ConvergenceSmall, ConvergenceOneOfMany, Convergence, ConvergenceMany, ConvergenceOneLarge,
    ConvergenceLarge, OpenLoopWhileItChanges, RestartLarge)}
DEFAULT = tuple(ALL)
# What a first look shows in a few minutes.
QUICK = tuple(each.name for each in (BulkUp, BulkDown, Flows64, PingPong, Requests, Connects, Interception))

__all__ = ["ALL", "DEFAULT", "QUICK"]
