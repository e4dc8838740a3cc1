"""etcd, the API server, and with nodes the controller manager and the scheduler."""

SERVICES = "10.96.0.0/16"
API_SERVICE = "10.96.0.1"
ISSUER = "https://kubernetes.default.svc.cluster.local"
ETCD = "http://127.0.0.1:2379"
START_SECONDS = 120  # It takes 3 s on an idle machine.


class ControlPlane:
    """Runs in a Place. `folders` are one for files and one on tmpfs; `address` is what nodes reach it by, None for
    loopback alone; `options` are more of the API server's."""

    def __init__(self, place, programs, pki, folders, address=None, options=()):
        self._place = place
        self._programs = programs
        self._pki = pki
        self.dir, self._volatile_dir = folders
        self._address = address
        self._options = options
        self._tokens = {name: pki.add_token(*user) for name, user in {
            "admin": ("admin", "system:masters"),
            "controller-manager": ("system:kube-controller-manager",),
            "scheduler": ("system:kube-scheduler",),
            "proxy": ("system:kube-proxy",),
        }.items()}
        self.etcd = self.api_server = self.controller_manager = self.scheduler = None

    def add_node(self, name):
        """Lets a node of that name join; before start()."""
        self._tokens[name] = self._pki.add_token(f"system:node:{name}", "system:nodes")

    @property
    def url(self):
        return f"https://{self._address or '127.0.0.1'}:6443"

    def kubeconfig(self, name):
        """The file of a user: admin, or one of the components, or a node by its name."""
        path = self.dir / f"{name}.kubeconfig"
        return path if path.exists() else self._pki.kubeconfig(path, self.url, self._tokens[name])

    def start(self):
        """Returns when the API server is ready."""
        names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"]
        addresses = ["127.0.0.1", API_SERVICE, *([self._address] if self._address else [])]
        sans = [*(f"DNS:{name}" for name in names), *(f"IP:{address}" for address in addresses)]
        self._serving = self._pki.issue("apiserver", "/CN=kube-apiserver", "serverAuth", sans)
        self._to_kubelets = self._pki.issue("apiserver-kubelet", "/O=system:masters/CN=apiserver-kubelet", "clientAuth")
        self._account_keys = self._pki.service_account_keys()
        self.start_etcd()
        self.start_api_server()

    @property
    def account_key(self):
        """Signs the tokens of service accounts."""
        return self._account_keys[1]

    def start_etcd(self):
        # No file of the machine's own disk: each write waits for an fsync.
        peer = "http://127.0.0.1:2380"
        self.etcd = self._place.spawn([
            self._programs["etcd"], "--name=test", f"--data-dir={self._volatile_dir / 'etcd'}",
            f"--listen-client-urls={ETCD}", f"--advertise-client-urls={ETCD}", f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=test={peer}"], "etcd")

    def start_api_server(self):
        self.api_server = self._place.spawn([
            self._programs["kube-apiserver"], f"--etcd-servers={ETCD}", "--secure-port=6443",
            f"--bind-address={'0.0.0.0' if self._address else '127.0.0.1'}",
            # It insists on an address for the service `kubernetes`; without nodes nobody uses that.
            f"--advertise-address={self._address or '192.0.2.1'}", "--endpoint-reconciler-type=lease",
            f"--service-cluster-ip-range={SERVICES}", "--allow-privileged=true",
            "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
            f"--token-auth-file={self._pki.tokens}", f"--client-ca-file={self._pki.ca}",
            f"--tls-cert-file={self._serving[0]}", f"--tls-private-key-file={self._serving[1]}",
            f"--kubelet-client-certificate={self._to_kubelets[0]}", f"--kubelet-client-key={self._to_kubelets[1]}",
            "--kubelet-preferred-address-types=InternalIP", f"--service-account-issuer={ISSUER}",
            f"--service-account-key-file={self._account_keys[0]}",
            f"--service-account-signing-key-file={self._account_keys[1]}", *self._options], "kube-apiserver")
        self.api_server.wait_ready(self.is_ready, "the API server is ready", START_SECONDS)

    def kill(self):
        """Its state is thrown away, so it need not end in order, which takes the API server a while."""
        for process in (self.scheduler, self.controller_manager, self.api_server, self.etcd):
            if process is not None:
                process.kill()

    def is_ready(self):
        done = self._place.run(["curl", "-fsS", "-m", "5", "--cacert", self._pki.ca, f"{self.url}/readyz"], check=False)
        return done.stdout == "ok"

    def start_controllers(self):
        """Those that nodes and workloads need; cloud and address-management ones have nothing to do here."""
        config = self.kubeconfig("controller-manager")
        self.controller_manager = self._place.spawn([
            self._programs["kube-controller-manager"], f"--kubeconfig={config}",
            f"--authentication-kubeconfig={config}", f"--authorization-kubeconfig={config}",
            f"--service-account-private-key-file={self._account_keys[1]}", f"--root-ca-file={self._pki.ca}",
            "--use-service-account-credentials=true", "--leader-elect=false", "--bind-address=127.0.0.1",
            "--controllers=*,-cloud-node-lifecycle-controller,-node-route-controller,-service-lb-controller,"
            "-node-ipam-controller"], "kube-controller-manager")
        config = self.kubeconfig("scheduler")
        self.scheduler = self._place.spawn([
            self._programs["kube-scheduler"], f"--kubeconfig={config}", f"--authentication-kubeconfig={config}",
            f"--authorization-kubeconfig={config}", "--leader-elect=false", "--bind-address=127.0.0.1"],
            "kube-scheduler")
