// The DNS server of a Kubernetes cluster: CoreDNS with those of its plugins that tests/kube/cluster/dns.py asks for.
// The project's own program has forty of them.
package main

import (
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
)

func main() { coremain.Run() }
