"""What the accounts of a namespace ask of an API server, by its audit log: Cluster(audit=NAMESPACE).audit."""

import collections
import json
import pathlib

import yaml

# `resource` has its subresource: pods/status. Without `namespace`: of the cluster, or of all namespaces.
Use = collections.namedtuple("Use", "account verb group resource namespace name")
# What a role allows; without `namespace` in the whole cluster, and with `name` of one object.
Grant = collections.namedtuple("Grant", "role namespace verb group resource name")


class AuditLog:
    """Written by the API server as it answers; a watch as it begins."""

    def __init__(self, folder, namespace):
        self._policy, self._log = pathlib.Path(folder, "audit-policy.yaml"), pathlib.Path(folder, "audit.log")
        self._user = f"system:serviceaccount:{namespace}:"
        self._policy.write_text(yaml.safe_dump({
            "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
            "rules": [{"level": "Metadata", "userGroups": [f"system:serviceaccounts:{namespace}"]},
                      {"level": "None"}]}))

    def options(self):
        """Of kube-apiserver."""
        return [f"--audit-policy-file={self._policy}", f"--audit-log-path={self._log}", "--audit-log-maxsize=1000"]

    def events(self):
        """Of the accounts of the namespace. The last line may be half written."""
        lines = self._log.read_text().splitlines(keepends=True) if self._log.exists() else []
        found = [json.loads(line) for line in lines if line.endswith("\n")]
        return [one for one in found if one["user"]["username"].startswith(self._user)]

    def accounts(self):
        return {self._account(one) for one in self.events()}

    def refused(self, *accounts):
        """A line for each, without repetitions; of these accounts, or of all."""
        return sorted({f"{self._account(one)}: {one['verb']} {one['requestURI'].partition('?')[0]}"
                       for one in self.events() if not accounts or self._account(one) in accounts
                       if one.get("responseStatus", {}).get("code") in (401, 403) or
                       one.get("annotations", {}).get("authorization.k8s.io/decision") == "forbid"})

    def uses(self):
        used = set()
        for one in self.events():
            about = one.get("objectRef")
            if about is None:
                used.add(Use(self._account(one), one["verb"], None, one["requestURI"], "", ""))
                continue
            resource = "/".join(filter(None, (about["resource"], about.get("subresource"))))
            rest = (about.get("apiGroup", ""), resource, about.get("namespace", ""), about.get("name", ""))
            used.add(Use(self._account(one), one["verb"], *rest))
            # Who applies what is not there needs the right to create it, too.
            if one["verb"] == "patch" and one.get("responseStatus", {}).get("code") == 201:
                used.add(Use(self._account(one), "create", *rest))
        return used

    def _account(self, event):
        return event["user"]["username"].removeprefix(self._user)


def grants(objects, account):
    """What these objects, roles and bindings among them, allow a service account, one verb of one resource each."""
    bound = {(o["roleRef"]["kind"], o["roleRef"]["name"]) for o in objects
             if o["kind"] in ("RoleBinding", "ClusterRoleBinding") and o["subjects"][0]["name"] == account}
    return {Grant(role["metadata"]["name"], role["metadata"].get("namespace", ""), verb, group, resource, name)
            for role in objects if (role["kind"], role["metadata"]["name"]) in bound
            for rule in role["rules"] for verb in rule["verbs"] for group in rule["apiGroups"]
            for resource in rule["resources"] for name in rule.get("resourceNames", [""])}


def _covers(grant, use):
    return ((use.verb, use.group, use.resource) == (grant.verb, grant.group, grant.resource) and
            grant.name in ("", use.name) and grant.namespace in ("", use.namespace))


def is_granted(use, granted):
    return any(_covers(grant, use) for grant in granted)


def is_used(grant, uses, home):
    """What is allowed in the whole cluster has to be needed outside of the account's own namespace."""
    return any(_covers(grant, use) and (grant.namespace or use.namespace != home) for use in uses)
