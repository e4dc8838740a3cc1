// Input: a file of a CNI configuration directory.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "agent/node/cni_chain_edit.h"
#include "lib/base/check.h"

namespace heddle::agent {
namespace {

using Verdict = ChainEdit::Verdict;

const CniEntry kEntry{.run_dir = "/run/heddle", .exempt_namespaces = {"kube-system"}};

// What was written is content with itself, and without the entry it is a list without it.
void CheckWritten(const ChainEdit& edit) {
  CHECK(InsertEntry({"x.conflist", edit.text}, kEntry).verdict == Verdict::kUnchanged);
  const ChainEdit removed = RemoveEntry(edit.text);
  CHECK(removed.verdict == Verdict::kWrite);
  CHECK(RemoveEntry(removed.text).verdict == Verdict::kUnchanged);
}

// An entry that went into a list that had none comes out again without a trace.
void CheckList(std::string_view text) {
  const bool had_none = RemoveEntry(text).verdict == Verdict::kUnchanged;
  const ChainEdit edit = InsertEntry({"x.conflist", text}, kEntry);
  if (edit.verdict != Verdict::kWrite) return;
  CheckWritten(edit);
  if (had_none) CHECK(RemoveEntry(edit.text).text == text);
}

void CheckSingle(std::string_view text) {
  const ChainEdit edit = InsertEntry({"x.conf", text}, kEntry);
  if (edit.verdict != Verdict::kWrite) return;
  CheckWritten(edit);
  CHECK(IsLiftOf(edit.text, "x.conf"));
}

}  // namespace
}  // namespace heddle::agent

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  heddle::agent::CheckList(text);
  heddle::agent::CheckSingle(text);
  return 0;
}
