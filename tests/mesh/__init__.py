"""The mesh as the netns and end-to-end suites see it: a scene on tests/topology, applications, and witnesses.

    scene       a controller, agents and pods; commands of the applications, run inside pods
    app client  the applications: a server that behaves as it is told, and clients (programs of their own)
    hbone       a peer that speaks HBONE with other code than ours (a program of its own)
    authority   certificates made with openssl
    witness     what crossed a pod's link, and its sockets
    watch       a witness on every enrolled pod of a scene, asked at its end
    inventory   what the mesh holds of a node's resources
"""

from .scene import (PORT, SERVICE_IP, Mesh, answers, authority, call, principal, python, report, running, said, serve,
                    start, tunnels, wait_said, whoami)

__all__ = ["PORT", "SERVICE_IP", "Mesh", "answers", "authority", "call", "principal", "python", "report", "running",
           "said", "serve", "start", "tunnels", "wait_said", "whoami"]
