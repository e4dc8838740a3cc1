"""Runs a CNI chain as a container runtime does (CNI specification 1.0.0, section 4)."""

import json
import os
import pathlib
import subprocess
import time

from .netns import entered


class CniError(Exception):
    """A plugin's refusal, with the code and message that it printed."""

    def __init__(self, plugin, command, answer):
        sentence = f"code {answer.get('code')}: {answer.get('msg')} {answer.get('details', '')}"
        super().__init__(f"{plugin} {command}: {sentence}")
        self.plugin = plugin
        self.code = answer.get("code")
        self.msg = answer.get("msg", "")


def first_conflist(conf_dir):
    """What a runtime uses of a directory: the first valid list in lexical order."""
    for path in sorted(conf_dir.glob("*.conflist")):
        try:
            conflist = json.loads(path.read_text())
        except (OSError, ValueError):
            continue
        if isinstance(conflist, dict) and "name" in conflist and conflist.get("plugins"):
            return conflist
    raise FileNotFoundError(f"no valid conflist in {conf_dir}: a runtime would call the node not ready")


class Chain:
    """One conflist, executed in a node's network namespace; results are cached per container, as libcni does.

    `conflist` may be a function: then each ADD asks it anew, as a runtime that watches a directory."""

    def __init__(self, conflist, node_netns, plugin_dirs, cache_dir):
        self._conflist = conflist
        self._netns = node_netns
        self._plugin_dirs = [pathlib.Path(p) for p in plugin_dirs]
        self._cache_dir = pathlib.Path(cache_dir)

    @property
    def conflist(self):
        return self._conflist() if callable(self._conflist) else self._conflist

    def without(self, plugin_type):
        """The other plugins of this list."""
        conflist = self.conflist
        rest = [plugin for plugin in conflist["plugins"] if plugin["type"] != plugin_type]
        return Chain(dict(conflist, plugins=rest), self._netns, self._plugin_dirs, self._cache_dir)

    def add(self, container_id, netns_path, ifname="eth0", args=None, took=None):
        """Runs ADD in order of the list and returns the final result; on a failure runs DEL and raises CniError.
        `took` is filled with the seconds of each type of plugin."""
        result = None
        conflist = self.conflist
        try:
            for plugin in conflist["plugins"]:
                started = time.monotonic()
                result = self._execute(conflist, plugin, "ADD", container_id, netns_path, ifname, args, result)
                if took is not None:
                    took[plugin["type"]] = time.monotonic() - started
        except CniError:
            self.delete(container_id, netns_path, ifname, args, best_effort=True)
            raise
        self._cache_file(container_id, ifname).write_text(
            json.dumps({"result": result, "conflist": conflist, "args": args}))
        return result

    def check(self, container_id, netns_path, ifname="eth0", args=None):
        cached = self._cached(container_id, ifname)
        for plugin in cached["conflist"]["plugins"]:
            self._execute(cached["conflist"], plugin, "CHECK", container_id, netns_path, ifname, args,
                          cached["result"])

    def delete(self, container_id, netns_path, ifname="eth0", args=None, best_effort=False):
        """Runs DEL in reverse order, with the configuration and result that ADD had."""
        cached = self._cached(container_id, ifname)
        for plugin in reversed(cached["conflist"]["plugins"]):
            try:
                self._execute(cached["conflist"], plugin, "DEL", container_id, netns_path, ifname,
                              args or cached["args"], cached["result"])
            except CniError:
                if not best_effort:
                    raise
        self._cache_file(container_id, ifname).unlink(missing_ok=True)

    def _cache_file(self, container_id, ifname):
        return self._cache_dir / f"{container_id}-{ifname}.json"

    def _cached(self, container_id, ifname):
        file = self._cache_file(container_id, ifname)
        if file.exists():
            return json.loads(file.read_text())
        return {"result": None, "conflist": self.conflist, "args": None}

    def _find(self, plugin_type):
        for folder in self._plugin_dirs:
            if (folder / plugin_type).is_file():
                return folder / plugin_type
        raise FileNotFoundError(f"CNI plugin {plugin_type} is in none of {[str(p) for p in self._plugin_dirs]}")

    def _execute(self, conflist, plugin, command, container_id, netns_path, ifname, args, prev_result):
        config = dict(plugin, cniVersion=conflist["cniVersion"], name=conflist["name"])
        if prev_result is not None:
            config["prevResult"] = prev_result
        environment = dict(os.environ, CNI_COMMAND=command, CNI_CONTAINERID=container_id,
                           CNI_NETNS=str(netns_path or ""), CNI_IFNAME=ifname,
                           CNI_PATH=":".join(map(str, self._plugin_dirs)),
                           CNI_ARGS=";".join(f"{key}={value}" for key, value in (args or {}).items()))
        with entered(self._netns.path):
            done = subprocess.run([str(self._find(plugin["type"]))], input=json.dumps(config), env=environment,
                                  capture_output=True, text=True, timeout=60)
        try:
            answer = json.loads(done.stdout) if done.stdout.strip() else {}
        except json.JSONDecodeError:
            answer = {"code": None, "msg": f"not JSON: {done.stdout[:500]}"}
        if done.returncode != 0:
            answer.setdefault("details", done.stderr[-1000:])
            raise CniError(plugin["type"], command, answer)
        return answer
