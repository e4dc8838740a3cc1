#include "lib/netlink/tcp_diag.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "lib/base/status.h"
#include "lib/netlink/socket.h"

namespace heddle::netlink {
namespace {

using MessageBuffer = std::array<char, 512>;

nlmsghdr* StartRequest(MessageBuffer& buffer, uint16_t flags, inet_diag_req_v2*& request) {
  nlmsghdr* message = mnl_nlmsg_put_header(buffer.data());
  message->nlmsg_type = SOCK_DIAG_BY_FAMILY;
  message->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
  request =
      static_cast<inet_diag_req_v2*>(mnl_nlmsg_put_extra_header(message, sizeof(inet_diag_req_v2)));
  request->sdiag_protocol = IPPROTO_TCP;
  request->id.idiag_cookie[0] = request->id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  return message;
}

void PutAddress(const io::IpAddress& address, __be32 (&out)[4]) {
  const auto bytes = address.native_bytes();
  std::memcpy(out, bytes.data(), bytes.size());
}

uint32_t MarkOf(const nlmsghdr* answer) {
  uint32_t mark = 0;
  const auto keep = [](const nlattr* attribute, void* out) {
    if (mnl_attr_get_type(attribute) == INET_DIAG_MARK &&
        mnl_attr_validate(attribute, MNL_TYPE_U32) >= 0)
      *static_cast<uint32_t*>(out) = mnl_attr_get_u32(attribute);
    return MNL_CB_OK;
  };
  (void)mnl_attr_parse(answer, sizeof(inet_diag_msg), keep, &mark);
  return mark;
}

}  // namespace

struct TcpDiag::State {
  std::unique_ptr<Socket> socket;
};

TcpDiag::TcpDiag(std::unique_ptr<State> state) : state_(std::move(state)) {}
TcpDiag::~TcpDiag() = default;

absl::StatusOr<std::unique_ptr<TcpDiag>> TcpDiag::Open() {
  auto state = std::make_unique<State>();
  TRY_ASSIGN(state->socket, Socket::Open(NETLINK_SOCK_DIAG));
  return std::unique_ptr<TcpDiag>(new TcpDiag(std::move(state)));
}

absl::StatusOr<std::optional<TcpSocket>> TcpDiag::Find(const io::SocketAddress& local,
                                                       const io::SocketAddress& remote) {
  MessageBuffer buffer{};
  inet_diag_req_v2* request;
  nlmsghdr* message = StartRequest(buffer, 0, request);
  request->sdiag_family = static_cast<uint8_t>(local.family());
  request->idiag_states = ~0u;
  // The exact look-up names the socket as a packet to it would: idiag_src is the socket's own side.
  request->id.idiag_sport = htons(local.port);
  request->id.idiag_dport = htons(remote.port);
  PutAddress(local.ip, request->id.idiag_src);
  PutAddress(remote.ip, request->id.idiag_dst);
  std::optional<TcpSocket> exact;
  const absl::Status status = state_->socket->Request(message, [&](const nlmsghdr* answer) {
    const auto* found = static_cast<const inet_diag_msg*>(mnl_nlmsg_get_payload(answer));
    // The kernel falls back to a listener that a SYN of this tuple would reach; that is no socket
    // with this tuple.
    if (found->idiag_state == TCP_LISTEN || found->id.idiag_dport != htons(remote.port)) return;
    exact = TcpSocket{.time_wait = found->idiag_state == TCP_TIME_WAIT, .mark = MarkOf(answer)};
  });
  if (!status.ok() && state_->socket->last_errno() == ENOENT) return std::nullopt;
  if (!status.ok()) return Annotate(status, "look for a TCP socket");
  return exact;
}

absl::StatusOr<size_t> TcpDiag::CountEstablished(int family) {
  MessageBuffer buffer{};
  inet_diag_req_v2* request;
  nlmsghdr* message = StartRequest(buffer, NLM_F_DUMP, request);
  request->sdiag_family = static_cast<uint8_t>(family);
  request->idiag_states = 1u << TCP_ESTABLISHED;
  size_t count = 0;
  TRY_STATUS(state_->socket->Request(message, [&](const nlmsghdr* answer) {
    const auto* found = static_cast<const inet_diag_msg*>(mnl_nlmsg_get_payload(answer));
    const bool to_itself =
        std::memcmp(found->id.idiag_src, found->id.idiag_dst, sizeof found->id.idiag_src) == 0;
    if (!to_itself && found->idiag_family == family) ++count;
  }));
  return count;
}

absl::StatusOr<bool> TcpDiag::IsListening(uint16_t port, int family) {
  MessageBuffer buffer{};
  inet_diag_req_v2* request;
  nlmsghdr* message = StartRequest(buffer, NLM_F_DUMP, request);
  request->sdiag_family = static_cast<uint8_t>(family);
  request->idiag_states = 1u << TCP_LISTEN;
  request->id.idiag_sport = htons(port);
  bool listening = false;
  TRY_STATUS(state_->socket->Request(message, [&](const nlmsghdr* answer) {
    const auto* found = static_cast<const inet_diag_msg*>(mnl_nlmsg_get_payload(answer));
    if (found->idiag_state == TCP_LISTEN && found->id.idiag_sport == htons(port)) listening = true;
  }));
  return listening;
}

}  // namespace heddle::netlink
