#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "lib/base/unique_fd.h"

struct bpf_map;
struct bpf_program;
struct heddle_bpf;

namespace heddle::agent {

// The linked BPF object (bpf/, Makefile.bpf) between open and load. Everything of libbpf's object
// model stays behind this class; what it hands out are file descriptors. One object belongs to one
// thread. Closing it leaves alone what was pinned or duplicated.
class BpfObject {
 public:
  // Parses the object that is built into this binary.
  static absl::StatusOr<BpfObject> Open();
  BpfObject(BpfObject&&) noexcept;
  BpfObject& operator=(BpfObject&&) noexcept;
  ~BpfObject();

  // Before Load: which programs to load; the others are left out.
  void SelectPrograms(std::span<const char* const> names);
  // Before Load: creates no map but that of the variables, for a program that uses none.
  void CreateNoMaps();
  // Before Load: the map is the one behind `fd` (duplicated), not a new one.
  absl::Status UseMap(const char* name, int fd);
  // Before Load: the map is pinned at `path`: taken from there if it exists (its type and sizes
  // must agree), else created and pinned. `max_entries` 0 keeps the size of maps.h.
  absl::Status PinMap(const char* name, const std::string& path, uint32_t max_entries);

  // The status carries what libbpf and the verifier said.
  absl::Status Load();

  // After Load. The program or map is one of bpf/, so a missing one is our bug.
  int program_fd(const char* name) const;
  int attach_type(const char* program) const;
  int map_fd(const char* name) const;
  // The one entry of this map is the object's variables, of which there is one: whose hd_sk_lookup it is.
  int variables_fd() const;

 private:
  struct Closer {
    void operator()(heddle_bpf* skeleton) const;
  };
  explicit BpfObject(heddle_bpf* skeleton);
  bpf_program* program(const char* name) const;
  bpf_map* map(const char* name) const;

  std::unique_ptr<heddle_bpf, Closer> skeleton_;
};

// "bpf: cannot <what>: <strerror>[; libbpf: ...]" for a libbpf or BPF system call that left `error`
// (positive or negative errno).
absl::Status BpfError(int error, std::string_view what);

}  // namespace heddle::agent
