#include "agent/node/bpf_attached.h"

#include <bpf/bpf.h>

#include <cerrno>
#include <optional>

#include "agent/node/bpf_object.h"
#include "lib/base/unique_fd.h"

namespace heddle::agent {
namespace {

std::string ProgramName(uint32_t id) {
  const UniqueFd program(bpf_prog_get_fd_by_id(id));
  bpf_prog_info info{};
  uint32_t size = sizeof info;
  if (!program.valid() || bpf_obj_get_info_by_fd(program.get(), &info, &size) != 0) return "";
  return info.name;
}

// Links come and go while they are listed: what is gone is left out.
std::optional<AttachedProgram> Describe(uint32_t link_id) {
  const UniqueFd link(bpf_link_get_fd_by_id(link_id));
  bpf_link_info info{};
  uint32_t size = sizeof info;
  if (!link.valid() || bpf_obj_get_info_by_fd(link.get(), &info, &size) != 0) return std::nullopt;
  AttachedProgram program;
  if (info.type == BPF_LINK_TYPE_CGROUP) {
    program.where = info.cgroup.cgroup_id;
  } else if (info.type == BPF_LINK_TYPE_NETNS) {
    program.place = AttachedProgram::Place::kNetns;
    program.where = info.netns.netns_ino;
  }
  if (program.where == 0) return std::nullopt;
  program.name = ProgramName(info.prog_id);
  return program;
}

}  // namespace

absl::StatusOr<std::vector<AttachedProgram>> ListAttachedPrograms(std::string_view prefix) {
  std::vector<AttachedProgram> programs;
  uint32_t id = 0;
  while (bpf_link_get_next_id(id, &id) == 0) {
    std::optional<AttachedProgram> program = Describe(id);
    if (program && program->name.starts_with(prefix)) programs.push_back(*std::move(program));
  }
  if (errno != ENOENT) return BpfError(errno, "list the links of BPF programs");
  return programs;
}

}  // namespace heddle::agent
