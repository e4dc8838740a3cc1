#include "agent/node/foreign_programs.h"

#include <absl/strings/str_cat.h>
#include <bpf/bpf.h>
#include <fcntl.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "agent/node/bpf_object.h"
#include "lib/base/status.h"

namespace heddle::agent {
namespace {

struct Hook {
  const char* name;
  bpf_attach_type type;
};
constexpr Hook kHooks[] = {
    {"sock_create", BPF_CGROUP_INET_SOCK_CREATE},
    {"sock_release", BPF_CGROUP_INET_SOCK_RELEASE},
    {"egress", BPF_CGROUP_INET_EGRESS},
    {"sock_ops", BPF_CGROUP_SOCK_OPS},
    {"bind4", BPF_CGROUP_INET4_BIND},
    {"bind6", BPF_CGROUP_INET6_BIND},
    {"connect4", BPF_CGROUP_INET4_CONNECT},
    {"connect6", BPF_CGROUP_INET6_CONNECT},
    {"getpeername4", BPF_CGROUP_INET4_GETPEERNAME},
    {"getpeername6", BPF_CGROUP_INET6_GETPEERNAME},
};

// Empty: it went meanwhile, or has no name.
std::string NameOfProgram(uint32_t id) {
  const UniqueFd program(bpf_prog_get_fd_by_id(id));
  bpf_prog_info info{};
  uint32_t size = sizeof info;
  if (!program.valid() || bpf_obj_get_info_by_fd(program.get(), &info, &size) != 0) return "";
  return {info.name, strnlen(info.name, sizeof info.name)};
}

absl::Status AddOf(const Hook& hook, int cgroup, std::vector<ForeignProgram>& found) {
  std::array<uint32_t, kMaxProgramsPerHook> ids{};
  LIBBPF_OPTS(bpf_prog_query_opts, query, .prog_ids = ids.data(), .prog_cnt = kMaxProgramsPerHook);
  if (const int error = bpf_prog_query_opts(cgroup, hook.type, &query); error != 0)
    return BpfError(error, absl::StrCat("ask which programs are attached at ", hook.name));
  for (uint32_t i = 0; i < query.prog_cnt; ++i) {
    std::string name = NameOfProgram(ids[i]);
    if (!name.starts_with("hd_")) found.push_back({hook.name, std::move(name), ids[i]});
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<ForeignProgram>> ForeignPrograms(const std::string& cgroup) {
  const UniqueFd directory(open(cgroup.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid())
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot open the cgroup ", cgroup));
  std::vector<ForeignProgram> found;
  for (const Hook& hook : kHooks) TRY_STATUS(AddOf(hook, directory.get(), found));
  return found;
}

}  // namespace heddle::agent
