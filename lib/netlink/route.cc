#include "lib/netlink/route.h"

#include <absl/strings/str_cat.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <array>
#include <cerrno>

#include "lib/base/status.h"
#include "lib/netlink/socket.h"

namespace heddle::netlink {
namespace {

using MessageBuffer = std::array<char, 512>;

void Ignore(const nlmsghdr*) {}

nlmsghdr* StartMessage(MessageBuffer& buffer, uint16_t type, uint16_t flags) {
  nlmsghdr* message = mnl_nlmsg_put_header(buffer.data());
  message->nlmsg_type = type;
  message->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
  return message;
}

nlmsghdr* RuleMessage(MessageBuffer& buffer, uint16_t type, uint16_t flags,
                      const MarkedLocalDelivery& delivery, int family) {
  nlmsghdr* message = StartMessage(buffer, type, flags);
  auto* header =
      static_cast<fib_rule_hdr*>(mnl_nlmsg_put_extra_header(message, sizeof(fib_rule_hdr)));
  header->family = static_cast<uint8_t>(family);
  header->action = FR_ACT_TO_TBL;
  mnl_attr_put_u32(message, FRA_PRIORITY, delivery.priority);
  mnl_attr_put_u32(message, FRA_FWMARK, delivery.mark);
  mnl_attr_put_u32(message, FRA_FWMASK, delivery.mask);
  mnl_attr_put_u32(message, FRA_TABLE, delivery.table);
  return message;
}

nlmsghdr* RouteMessage(MessageBuffer& buffer, uint16_t type, uint16_t flags,
                       const MarkedLocalDelivery& delivery, int family) {
  nlmsghdr* message = StartMessage(buffer, type, flags);
  auto* header = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(rtmsg)));
  header->rtm_family = static_cast<uint8_t>(family);
  header->rtm_table = RT_TABLE_UNSPEC;
  header->rtm_protocol = RTPROT_STATIC;
  header->rtm_scope = RT_SCOPE_HOST;
  header->rtm_type = RTN_LOCAL;
  mnl_attr_put_u32(message, RTA_TABLE, delivery.table);
  mnl_attr_put_u32(message, RTA_OIF, ::if_nametoindex("lo"));
  return message;
}

void CollectAddress(const nlmsghdr* message, std::vector<io::IpAddress>& out) {
  const auto* header = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(message));
  if (header->ifa_scope != RT_SCOPE_UNIVERSE && header->ifa_scope != RT_SCOPE_SITE) return;
  const nlattr* chosen = nullptr;
  auto* attribute =
      static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(message, sizeof(ifaddrmsg)));
  for (const auto* end = static_cast<const char*>(mnl_nlmsg_get_payload_tail(message));
       mnl_attr_ok(attribute, static_cast<int>(end - reinterpret_cast<const char*>(attribute)));
       attribute = mnl_attr_next(attribute)) {
    const uint16_t type = mnl_attr_get_type(attribute);
    // On point-to-point links IFA_ADDRESS is the peer's; IFA_LOCAL, where there is one, is ours.
    if (type == IFA_LOCAL || (type == IFA_ADDRESS && chosen == nullptr)) chosen = attribute;
  }
  if (chosen == nullptr) return;
  const auto* bytes = static_cast<const uint8_t*>(mnl_attr_get_payload(chosen));
  const auto address = io::IpAddress::FromBytes({bytes, mnl_attr_get_payload_len(chosen)});
  if (address && !address->is_loopback()) out.push_back(*address);
}

}  // namespace

absl::Status AddMarkedLocalDelivery(const MarkedLocalDelivery& delivery, int family) {
  TRY_ASSIGN(auto socket, Socket::Open(NETLINK_ROUTE));
  MessageBuffer buffer{};
  absl::Status status = socket->Request(
      RouteMessage(buffer, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, delivery, family), Ignore);
  if (!status.ok()) return Annotate(status, "add local route to table ", delivery.table);
  buffer = {};
  status = socket->Request(
      RuleMessage(buffer, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, delivery, family), Ignore);
  if (!status.ok() && socket->last_errno() != EEXIST)
    return Annotate(status, "add rule for mark ", delivery.mark);
  return absl::OkStatus();
}

absl::Status RemoveMarkedLocalDelivery(const MarkedLocalDelivery& delivery, int family) {
  TRY_ASSIGN(auto socket, Socket::Open(NETLINK_ROUTE));
  const auto gone = [&] { return socket->last_errno() == ENOENT || socket->last_errno() == ESRCH; };
  MessageBuffer buffer{};
  absl::Status status =
      socket->Request(RuleMessage(buffer, RTM_DELRULE, 0, delivery, family), Ignore);
  if (!status.ok() && !gone()) return Annotate(status, "remove rule for mark ", delivery.mark);
  buffer = {};
  status = socket->Request(RouteMessage(buffer, RTM_DELROUTE, 0, delivery, family), Ignore);
  if (!status.ok() && !gone()) return Annotate(status, "remove route of table ", delivery.table);
  return absl::OkStatus();
}

absl::Status BringUpLoopback() {
  TRY_ASSIGN(auto socket, Socket::Open(NETLINK_ROUTE));
  MessageBuffer buffer{};
  nlmsghdr* message = StartMessage(buffer, RTM_NEWLINK, 0);
  auto* header = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(message, sizeof(ifinfomsg)));
  header->ifi_index = static_cast<int>(::if_nametoindex("lo"));
  header->ifi_flags = IFF_UP;
  header->ifi_change = IFF_UP;
  return Annotate(socket->Request(message, Ignore), "set the loopback interface up");
}

absl::StatusOr<std::vector<io::IpAddress>> ListAddresses() {
  TRY_ASSIGN(auto socket, Socket::Open(NETLINK_ROUTE));
  MessageBuffer buffer{};
  nlmsghdr* message = mnl_nlmsg_put_header(buffer.data());
  message->nlmsg_type = RTM_GETADDR;
  message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  static_cast<ifaddrmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(ifaddrmsg)))->ifa_family =
      AF_UNSPEC;
  std::vector<io::IpAddress> addresses;
  TRY_STATUS(
      socket->Request(message, [&](const nlmsghdr* answer) { CollectAddress(answer, addresses); }));
  return addresses;
}

}  // namespace heddle::netlink
