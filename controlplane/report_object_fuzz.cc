// ConfigMaps by which controllers tell each other what nodes have reported: whoever may write one in Heddle's namespace
// chooses the bytes.

#include <cstddef>
#include <cstdint>

#include "controlplane/report_object.h"
#include "lib/base/check.h"

namespace controlplane = heddle::controlplane;
namespace kube = heddle::kube;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto object = kube::ReadObject(text);
  if (!object) return 0;
  const auto report = controlplane::ParseReportObject(*object);
  if (!report.ok()) {
    CHECK(!report.status().message().empty());
    return 0;
  }
  CHECK(controlplane::ReportObjectName(report->node) == object->name.name);
  // What one controller has understood all others understand in the same way.
  const std::string written = controlplane::ToJson(*report, object->name.name_space);
  const auto again = controlplane::ParseReportObject({object->name, "", written});
  CHECK(again.ok());
  CHECK(again->node == report->node && again->heard_by == report->heard_by);
  CHECK(again->summary.captured.size() <= report->summary.captured.size());
  return 0;
}
