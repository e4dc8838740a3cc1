"""No mesh at all, and two hops without TLS: what any mesh of two proxies must cost at least."""

from .subject import Pair, Subject


class Direct(Subject):
    name = "direct"
    encrypted = False


class Null2(Pair):
    """Our own relay loop, twice, in clear."""

    name = "null2"
    encrypted = False
    ports = 0

    def argv(self, side):
        listen, to = (self.entry, self.link) if side == "a" else (self.link, self.ground.server_address)
        return [self.ground.load, "relay", "--listen", listen, "--to", to]
