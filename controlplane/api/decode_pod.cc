#include <absl/strings/str_cat.h>

#include <algorithm>

#include "controlplane/api/decode_kinds.h"

namespace heddle::controlplane::api {
namespace {

void AddAddress(TreeReader& reader, const std::string& text, std::vector<io::IpAddress>& out) {
  if (text.empty()) return;
  const std::optional<io::IpAddress> address = io::IpAddress::Parse(text);
  if (!address.has_value()) {
    reader.Fail(reader.line(),
                absl::StrCat(reader.path(), " has an address that is not an IP address"));
  } else if (std::find(out.begin(), out.end(), *address) == out.end()) {
    out.push_back(*address);
  }
}

bool IsReady(TreeReader& status) {
  bool any = false;
  for (TreeReader& condition : status.Children("conditions")) {
    any = true;
    if (condition.String("type") == "Ready") return condition.String("status") == "True";
  }
  return !any;
}

void DecodeStatus(TreeReader status, Pod& pod) {
  const std::string phase = status.String("phase");
  pod.terminal = phase == "Succeeded" || phase == "Failed";
  pod.ready = IsReady(status);
  AddAddress(status, status.String("podIP"), pod.ips);
  for (TreeReader& entry : status.Children("podIPs"))
    AddAddress(entry, entry.String("ip"), pod.ips);
  if (pod.ips.size() > kMaxAddressesPerObject)
    status.Fail(status.line(), "status.podIPs has too many addresses");
}

void DecodeContainerPorts(TreeReader& container, std::vector<ContainerPort>& out) {
  for (TreeReader& port : container.Children("ports")) {
    const std::string protocol = port.String("protocol");
    const std::string name = port.String("name");
    if (name.empty() || (!protocol.empty() && protocol != "TCP")) continue;
    out.push_back({name, DecodePort(port, "containerPort")});
  }
}

}  // namespace

Pod DecodePod(TreeReader& object) {
  Pod pod{.meta = DecodeMeta(object, true)};
  TreeReader spec = object.Child("spec");
  if (std::string account = spec.String("serviceAccountName"); !account.empty())
    pod.service_account = std::move(account);
  if (!IsDnsSubdomain(pod.service_account.str()))
    spec.Fail(spec.line(), "spec.serviceAccountName is not a DNS name");
  pod.node_name = spec.String("nodeName");
  if (!pod.node_name.empty() && !IsDnsSubdomain(pod.node_name.str())) {
    spec.Fail(spec.line(), "spec.nodeName is not a DNS name");
  }
  pod.host_network = spec.Bool("hostNetwork").value_or(false);
  for (TreeReader& container : spec.Children("containers"))
    DecodeContainerPorts(container, pod.named_ports);
  DecodeStatus(object.Child("status"), pod);
  return pod;
}

}  // namespace heddle::controlplane::api
