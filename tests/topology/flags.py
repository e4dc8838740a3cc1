"""Command lines of the programs under test: the one place that knows their flags (agent/config.h and
controlplane/config.h document them)."""


def agent(node):
    topology = node.topology
    version = 4 if "ipv4" in topology.families else 6
    host = topology.control_address(version)
    return ["run",
            "--node-name", node.name,
            "--cgroup", node.cgroup_root.path,
            "--pin-dir", node.pin_dir,
            "--run-dir", node.run_dir,
            "--state-dir", node.state_dir,
            "--controller", f"{host if version == 4 else f'[{host}]'}:15012",
            "--controller-roots", topology.controller_dir / "root-cert.pem",
            "--token-file", topology.controller_dir / "tokens" / node.name,
            *(("--cni-conf-dir", node.cni_conf_file.parent, "--cni-bin-dir", node.cni_bin_dir)
              if topology.installs else ())]


def controller(topology):
    return ["run",
            "--config-dir", topology.config.path,
            "--state-dir", topology.controller_dir]
