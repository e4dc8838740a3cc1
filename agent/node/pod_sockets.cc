#include "agent/node/pod_sockets.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "lib/base/status.h"
#include "lib/netlink/route.h"

namespace heddle::agent {
namespace {

// The kernel caps it at net.core.somaxconn.
constexpr int kListenBacklog = 4096;

constexpr netlink::MarkedLocalDelivery kApplicationDelivery = {.mark = kProxyMark,
                                                               .mask = kProxyMarkMask,
                                                               .table = kDeliveryTable,
                                                               .priority = kDeliveryPriority};

// tcp_fwmark_accept: an accepted socket inherits the SYN's mark, so answers to a preserved source
// address find their way. fwmark_reflect: so do the resets of ports where nobody listens; without
// it they leave the pod for the client, and the dial waits for its timeout. tcp_tw_reuse: all
// captured connects of a pod share one destination, so ports in TIME_WAIT must be usable again.
// ip_local_reserved_ports: the kernel must not choose our ports for an application's socket;
// bind(2) to them is refused by hd_bind.
constexpr std::array<std::pair<const char*, const char*>, 4> kPodSysctls = {
    {{"net/ipv4/tcp_fwmark_accept", "1"},
     {"net/ipv4/fwmark_reflect", "1"},
     {"net/ipv4/tcp_tw_reuse", "1"},
     {"net/ipv4/ip_local_reserved_ports", "15001,15006,15008,15053"}}};

absl::Status ErrnoStatus(const char* what, int error) {
  return absl::InternalError(absl::StrCat(what, ": ", std::strerror(error)));
}

absl::Status SetOption(int fd, int level, int option, int value, const char* name) {
  if (::setsockopt(fd, level, option, &value, sizeof(value)) == 0) return absl::OkStatus();
  return ErrnoStatus(name, errno);
}

std::string SysctlPath(const std::string& name) { return absl::StrCat("/proc/sys/", name); }

absl::StatusOr<std::string> ReadSysctl(const std::string& name) {
  const UniqueFd fd(::open(SysctlPath(name).c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 64> text{};
  const ssize_t got = fd.valid() ? ::read(fd.get(), text.data(), text.size()) : -1;
  if (got < 0) return ErrnoStatus(absl::StrCat("read sysctl ", name).c_str(), errno);
  return std::string(absl::StripSuffix({text.data(), static_cast<size_t>(got)}, "\n"));
}

// A procfs of its own that is attached nowhere. Needs CAP_SYS_ADMIN.
UniqueFd MountDetachedProc() {
  const UniqueFd context(::fsopen("proc", FSOPEN_CLOEXEC));
  if (!context.valid()) return {};
  if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return {};
  constexpr unsigned kAttributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  return UniqueFd(::fsmount(context.get(), FSMOUNT_CLOEXEC, kAttributes));
}

// In a container that is not privileged /proc/sys is read-only, by its mount. sys/net of any procfs
// is that of the calling thread's network namespace.
UniqueFd OpenSysctlToWrite(const std::string& name) {
  UniqueFd fd(::open(SysctlPath(name).c_str(), O_WRONLY | O_CLOEXEC));
  if (fd.valid() || errno != EROFS) return fd;
  const UniqueFd proc = MountDetachedProc();
  if (proc.valid())
    return UniqueFd(::openat(proc.get(), absl::StrCat("sys/", name).c_str(), O_WRONLY | O_CLOEXEC));
  errno = EROFS;
  return {};
}

absl::Status WriteSysctl(const std::string& name, const std::string& value) {
  const UniqueFd fd = OpenSysctlToWrite(name);
  if (!fd.valid() ||
      ::write(fd.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size())) {
    return ErrnoStatus(absl::StrCat("write sysctl ", name,
                                    "; /proc/sys must be writable, or procfs may be mounted")
                           .c_str(),
                       errno);
  }
  return absl::OkStatus();
}

constexpr std::pair<const char*, const char*> kPodSysctlIpv6 = {"net/ipv6/fwmark_reflect", "1"};

bool HasIpv6() { return ReadSysctl("net/ipv6/conf/lo/disable_ipv6").value_or("1") == "0"; }

}  // namespace

absl::StatusOr<UniqueFd> MakeListeningSocket(uint16_t port) {
  const int family = HasIpv6() ? AF_INET6 : AF_INET;
  UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoStatus("socket", errno);
  TRY_STATUS(SetOption(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR"));
  if (family == AF_INET6) TRY_STATUS(SetOption(fd.get(), SOL_IPV6, IPV6_V6ONLY, 0, "IPV6_V6ONLY"));
  const io::SocketAddress any{family == AF_INET ? io::IpAddress::V4(0, 0, 0, 0) : io::IpAddress(),
                              port};
  sockaddr_storage address;
  const socklen_t size = any.ToKernel(family, address);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) {
    const int error = errno;
    return Annotate(ErrnoStatus("bind", error), "port ", port,
                    error == EADDRINUSE ? " is taken by a process in the pod" : "");
  }
  if (::listen(fd.get(), kListenBacklog) != 0) return ErrnoStatus("listen", errno);
  return fd;
}

absl::StatusOr<UniqueFd> MakeDialSocket(int family, DialPurpose purpose) {
  UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoStatus("socket", errno);
  if (purpose == DialPurpose::kOut) return fd;
  TRY_STATUS(SetOption(fd.get(), SOL_SOCKET, SO_MARK, kProxyMark, "SO_MARK"));
  // Many connections share a client's address and port towards different ports of the application.
  TRY_STATUS(SetOption(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR"));
  if (family == AF_INET6) {
    TRY_STATUS(SetOption(fd.get(), SOL_IPV6, IPV6_TRANSPARENT, 1, "IPV6_TRANSPARENT"));
  } else {
    TRY_STATUS(SetOption(fd.get(), SOL_IP, IP_TRANSPARENT, 1, "IP_TRANSPARENT"));
  }
  return fd;
}

absl::Status ApplyPodSysctls(Sysctls& before) {
  std::vector<std::pair<const char*, const char*>> wanted(kPodSysctls.begin(), kPodSysctls.end());
  if (HasIpv6()) wanted.push_back(kPodSysctlIpv6);
  for (const auto& [name, value] : wanted) {
    TRY_ASSIGN(const std::string old, ReadSysctl(name));
    if (old == value) continue;
    TRY_STATUS(WriteSysctl(name, value));
    before.emplace(name, old);
  }
  return absl::OkStatus();
}

absl::Status RestoreSysctls(const Sysctls& before) {
  for (const auto& [name, value] : before) TRY_STATUS(WriteSysctl(name, value));
  return absl::OkStatus();
}

absl::Status AddApplicationDelivery() {
  // containerd runs the plugin that does this beside our chain, not before it.
  TRY_STATUS(netlink::BringUpLoopback());
  TRY_STATUS(netlink::AddMarkedLocalDelivery(kApplicationDelivery, AF_INET));
  return HasIpv6() ? netlink::AddMarkedLocalDelivery(kApplicationDelivery, AF_INET6)
                   : absl::OkStatus();
}

absl::Status RemoveApplicationDelivery() {
  TRY_STATUS(netlink::RemoveMarkedLocalDelivery(kApplicationDelivery, AF_INET));
  return HasIpv6() ? netlink::RemoveMarkedLocalDelivery(kApplicationDelivery, AF_INET6)
                   : absl::OkStatus();
}

}  // namespace heddle::agent
