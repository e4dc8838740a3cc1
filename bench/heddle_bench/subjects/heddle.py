"""Heddle in real use: pods captured by eBPF, two agents, a controller."""

from ..ground import cgroup_of
from .subject import Subject, established, wait_carried

TUNNEL_PORT = 15008


class Heddle(Subject):
    name = "heddle"

    def __init__(self, grounds):
        super().__init__(grounds)
        self.ground = None
        self.extra_flags = ()  # Of agents that are started from now on.

    def start(self):
        if self.ground is None:
            self.ground = self.grounds.mesh()
        else:  # After stop().
            for node in self.ground.topology.nodes:
                node.start_agent(*self.extra_flags)
        wait_carried(self)
        if self.handshake is None:
            self.note_handshake(self.ground.recording.bytes())

    def stop(self):
        for node in self.ground.topology.nodes:
            node.agent.stop(20)

    def tunnels(self):
        return established(self.client, TUNNEL_PORT)

    def stop_first(self):
        self.ground.topology.nodes[0].agent.stop(20)

    def launch_first(self):
        self.ground.topology.nodes[0].start_agent()

    def components(self):
        return {**super().components(), "controller": cgroup_of(self.ground.topology.controller)}

    def proxies(self):
        return {side: node.agent for side, node in zip("ab", self.ground.topology.nodes)}
