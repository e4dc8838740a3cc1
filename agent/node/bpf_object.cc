#include "agent/node/bpf_object.h"

#include <absl/strings/str_cat.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <heddle_bpf.skel.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "lib/base/check.h"

namespace heddle::agent {
namespace {

// The end of a verifier log says what is wrong; the beginning only how it got there.
constexpr size_t kComplaintBytesMax = 2000;

thread_local std::string complaints;

int Collect(libbpf_print_level level, const char* format, va_list arguments) {
  if (level != LIBBPF_WARN) return 0;
  char* text = nullptr;
  const int length = vasprintf(&text, format, arguments);
  if (length < 0) return 0;
  complaints.append(text, static_cast<size_t>(length));
  free(text);
  if (complaints.size() > kComplaintBytesMax)
    complaints.erase(0, complaints.size() - kComplaintBytesMax);
  return length;
}

std::string TakeComplaints() {
  std::string taken = std::exchange(complaints, {});
  while (!taken.empty() && taken.back() == '\n') taken.pop_back();
  return taken;
}

}  // namespace

absl::Status BpfError(int error, std::string_view what) {
  const int number = std::abs(error);
  std::string text =
      absl::StrCat("cannot ", absl::string_view(what.data(), what.size()), ": ", strerror(number));
  if (std::string said = TakeComplaints(); !said.empty())
    absl::StrAppend(&text, "; libbpf: ", said);
  return absl::ErrnoToStatus(number, text);
}

void BpfObject::Closer::operator()(heddle_bpf* skeleton) const { heddle_bpf__destroy(skeleton); }

BpfObject::BpfObject(heddle_bpf* skeleton) : skeleton_(skeleton) {}
BpfObject::BpfObject(BpfObject&&) noexcept = default;
BpfObject& BpfObject::operator=(BpfObject&&) noexcept = default;
BpfObject::~BpfObject() = default;

absl::StatusOr<BpfObject> BpfObject::Open() {
  libbpf_set_print(Collect);
  complaints.clear();
  heddle_bpf* skeleton = heddle_bpf__open();
  if (skeleton == nullptr) return BpfError(errno, "open the BPF object");
  return BpfObject(skeleton);
}

bpf_program* BpfObject::program(const char* name) const {
  bpf_program* found = bpf_object__find_program_by_name(skeleton_->obj, name);
  CHECK(found != nullptr);
  return found;
}

bpf_map* BpfObject::map(const char* name) const {
  bpf_map* found = bpf_object__find_map_by_name(skeleton_->obj, name);
  CHECK(found != nullptr);
  return found;
}

void BpfObject::SelectPrograms(std::span<const char* const> names) {
  bpf_program* each = nullptr;
  bpf_object__for_each_program(each, skeleton_->obj)
      CHECK(bpf_program__set_autoload(each, false) == 0);
  for (const char* name : names) CHECK(bpf_program__set_autoload(program(name), true) == 0);
}

void BpfObject::CreateNoMaps() {
  bpf_map* each = nullptr;
  bpf_object__for_each_map(each, skeleton_->obj) {
    // The skeleton maps the variables into memory, whether or not a program reads them.
    if (!bpf_map__is_internal(each)) CHECK(bpf_map__set_autocreate(each, false) == 0);
  }
}

absl::Status BpfObject::UseMap(const char* name, int fd) {
  if (const int error = bpf_map__reuse_fd(map(name), fd); error != 0)
    return BpfError(error, absl::StrCat("use the map ", name));
  return absl::OkStatus();
}

absl::Status BpfObject::PinMap(const char* name, const std::string& path, uint32_t max_entries) {
  bpf_map* target = map(name);
  if (const int error = bpf_map__set_pin_path(target, path.c_str()); error != 0) {
    return BpfError(error, absl::StrCat("pin ", name, " at ", path));
  }
  // An existing map keeps its size: a setting takes effect when the pins are made anew.
  if (const UniqueFd pinned(bpf_obj_get(path.c_str())); pinned.valid()) {
    bpf_map_info info{};
    uint32_t size = sizeof info;
    if (const int error = bpf_obj_get_info_by_fd(pinned.get(), &info, &size); error != 0) {
      return BpfError(error, absl::StrCat("read ", path));
    }
    max_entries = info.max_entries;
  }
  if (max_entries != 0) CHECK(bpf_map__set_max_entries(target, max_entries) == 0);
  return absl::OkStatus();
}

absl::Status BpfObject::Load() {
  complaints.clear();
  if (const int error = heddle_bpf__load(skeleton_.get()); error != 0)
    return BpfError(error, "load the BPF programs");
  return absl::OkStatus();
}

int BpfObject::program_fd(const char* name) const { return bpf_program__fd(program(name)); }

int BpfObject::attach_type(const char* name) const {
  return static_cast<int>(bpf_program__expected_attach_type(program(name)));
}

int BpfObject::map_fd(const char* name) const { return bpf_map__fd(map(name)); }

int BpfObject::variables_fd() const {
  static_assert(sizeof(*skeleton_->bss) == sizeof(skeleton_->bss->hd_pod_netns_cookie));
  return bpf_map__fd(skeleton_->maps.bss);
}

}  // namespace heddle::agent
