#include "agent/node/original_destination.h"

#include <algorithm>

namespace heddle::agent {

std::optional<io::SocketAddress> OriginalDestinations::Take(uint64_t netns_cookie,
                                                            const io::SocketAddress& peer,
                                                            const io::SocketAddress& local) const {
  hd_flow flow{.netns_cookie = netns_cookie, .src_port = peer.port, .dst_port = local.port};
  std::ranges::copy(peer.ip.bytes(), flow.src_ip);
  std::ranges::copy(local.ip.bytes(), flow.dst_ip);
  const std::optional<hd_origdst> found = maps_.Take<hd_origdst>(MapId::kOrigdst, flow);
  if (!found) return std::nullopt;
  return io::SocketAddress{io::IpAddress::FromBytes(found->dst_ip).value_or(io::IpAddress()),
                           found->dst_port};
}

}  // namespace heddle::agent
