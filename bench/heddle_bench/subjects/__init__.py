"""What is compared. Each is started once, takes its turns in all workloads, and is stopped at the end."""

from .envoy import EnvoyHbone, EnvoyHboneFresh, EnvoyTcp
from .haproxy import Haproxy
from .heddle import Heddle
from .nghttpx import Nghttpx
from .nginx import Nginx
from .plain import Direct, Null2

PEERS = tuple(subject.name for subject in (Haproxy, Nginx, EnvoyTcp, EnvoyHbone, EnvoyHboneFresh, Nghttpx))
ALL = {subject.name: subject for subject in (Direct, Null2, Haproxy, Nginx, EnvoyTcp, EnvoyHbone, EnvoyHboneFresh,
                                             Nghttpx, Heddle)}

__all__ = ["ALL", "PEERS"]
